"""What deliver is told by its environment."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from mailchute import signing
from mailchute.settings import DatabaseSettings, DnsSettings, Network, Reader

from .attempt import TIMEOUT_S
from .destination import Destination, destination_of

PORTS = "80,443,8080,8443"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The environment of deliver, read once at start."""

    database: DatabaseSettings
    dns: DnsSettings
    allow_private: tuple[Network, ...]  # MAILCHUTE_ALLOW_PRIVATE: where private addresses and http are fine
    ports: frozenset[int]  # MAILCHUTE_WEBHOOK_PORTS: of public endpoints
    timeout_s: float  # MAILCHUTE_WEBHOOK_TIMEOUT: of a whole attempt
    authority_file: str  # MAILCHUTE_WEBHOOK_CA_FILE: authorities trusted beside the system's; "" for none
    listen: Destination | None  # MAILCHUTE_LISTEN_URL: our own api's door for those who listen
    signing_keys: tuple[signing.PrivateKey, ...]  # MAILCHUTE_SIGNING_KEY: PEM, RSA and Ed25519

    @classmethod
    def read(cls, reader: Reader) -> Settings:
        listen_url = reader.url("MAILCHUTE_LISTEN_URL", "", ("http", "https"))
        return cls(
            database=DatabaseSettings.read(reader),
            dns=DnsSettings.read(reader),
            allow_private=reader.networks("MAILCHUTE_ALLOW_PRIVATE"),
            ports=_ports(reader),
            timeout_s=reader.seconds("MAILCHUTE_WEBHOOK_TIMEOUT", TIMEOUT_S, low=2, high=60),
            authority_file=_authority_file(reader),
            listen=destination_of(listen_url) if listen_url else None,
            signing_keys=signing.read_private_keys(reader),
        )


def _ports(reader: Reader) -> frozenset[int]:
    value = reader.text("MAILCHUTE_WEBHOOK_PORTS", PORTS)
    parts = [part.strip() for part in value.split(",")]
    if all(part.isascii() and part.isdecimal() and 0 < int(part) < 65_536 for part in parts):
        return frozenset(int(part) for part in parts)
    reader.mistakes.append(f"MAILCHUTE_WEBHOOK_PORTS is {value!r}: expected ports such as {PORTS}")
    return frozenset()


def _authority_file(reader: Reader) -> str:
    path = reader.text("MAILCHUTE_WEBHOOK_CA_FILE")
    if path:
        try:
            ssl.create_default_context(cafile=path)
        except OSError as error:
            reader.mistakes.append(f"MAILCHUTE_WEBHOOK_CA_FILE is {path!r}: expected a PEM file ({error})")
    return path
