"""
Reading the environment, once, at start (https://12factor.net/config).

A room builds its frozen settings through one Reader, which collects every mistake, so that a
person sees them all at once: one line each, naming the setting, its value and what is allowed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from mailchute.errors import BadSetting

SECRETS_DIR = Path("/var/openfaas/secrets")  # where OpenFaaS mounts secrets

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass
class Reader:
    """Reads settings by name and remembers what is wrong with them."""

    environ: Mapping[str, str]
    mistakes: list[str] = field(default_factory=list)

    def text(self, name: str, default: str = "") -> str:
        return self.environ.get(name, "").strip() or default

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.text(name, default)
        if value not in allowed:
            self._mistake(name, value, f"one of {', '.join(allowed)}")
        return value

    def whole(self, name: str, default: int, *, low: int, high: int) -> int:
        value = self.text(name, str(default))
        try:
            number = int(value)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            self._mistake(name, value, f"a whole number from {low} to {high}")
            return default
        return number

    def seconds(self, name: str, default: float, *, low: float = 0, high: float = 31_536_000) -> float:
        value = self.text(name, str(default))
        try:
            number = float(value)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            self._mistake(name, value, f"seconds from {low:g} to {high:g}")
            return default
        return number

    def gaps(self, name: str, default: tuple[float, ...]) -> tuple[float, ...]:
        """Return the gaps of a retry schedule, such as `0,5,300`."""
        value = self.text(name)
        if not value:
            return default
        try:
            gaps_s = tuple(float(part) for part in value.split(","))
        except ValueError:
            gaps_s = ()
        if not gaps_s or gaps_s[0] != 0 or any(not 0 <= gap_s <= 2_592_000 for gap_s in gaps_s):
            self._mistake(name, value, "seconds between attempts, the first 0, such as 0,5,300")
            return default
        return gaps_s

    def address(self, name: str, default: str) -> tuple[str, int]:
        """Return host and port of `host:port`; an IPv6 host stands in brackets."""
        value = self.text(name, default)
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65_535:
            self._mistake(name, value, "host:port, such as 127.0.0.1:2525")
            return "127.0.0.1", 0
        return host.strip("[]"), int(port)

    def url(self, name: str, default: str, schemes: tuple[str, ...]) -> str:
        """Return a URL of one of `schemes`; from a file as `secret` does, for it may hold a password."""
        value = self.secret(name) or default
        if value and (urlsplit(value).scheme not in schemes):
            self._mistake(name, _redacted(value), " or ".join(f"{s}://…" for s in schemes))
        return value

    def networks(self, name: str, default: str = "") -> tuple[Network, ...]:
        value = self.text(name, default)
        try:
            return tuple(ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip())
        except ValueError:
            self._mistake(name, value, "networks such as 127.0.0.0/8,10.1.2.0/24")
            return ()

    def secret(self, name: str) -> str:
        """
        Return a secret: the content of the file `<name>_FILE` names, of the file OpenFaaS mounted
        (mailchute-internal-token for MAILCHUTE_INTERNAL_TOKEN), or the value itself; "" when none is set.
        """
        path = self.text(f"{name}_FILE")
        mounted = SECRETS_DIR / name.lower().replace("_", "-")
        if not path and mounted.is_file():
            path = str(mounted)
        if not path:
            return self.text(name)
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            self._mistake(f"{name}_FILE", path, f"a file that can be read ({error.strerror})")
            return ""

    def check(self) -> None:
        """
        Raises:
            BadSetting: One line per mistake.
        """
        if self.mistakes:
            raise BadSetting("\n".join(self.mistakes))

    def _mistake(self, name: str, value: str, allowed: str) -> None:
        self.mistakes.append(f"{name} is {value!r}: expected {allowed}")


def _redacted(url: str) -> str:
    parts = urlsplit(url)
    return url if parts.password is None else url.replace(parts.password, "…")


@dataclass(frozen=True, kw_only=True)
class NatsSettings:
    """Where JetStream is."""

    url: str  # MAILCHUTE_NATS_URL
    monitor_url: str  # MAILCHUTE_NATS_MONITOR_URL; "" leaves sync_interval unchecked, with a warning

    @classmethod
    def read(cls, reader: Reader) -> NatsSettings:
        return cls(
            url=reader.url("MAILCHUTE_NATS_URL", "nats://127.0.0.1:4222", ("nats", "tls")),
            monitor_url=reader.url("MAILCHUTE_NATS_MONITOR_URL", "", ("http", "https")),
        )


@dataclass(frozen=True, kw_only=True)
class DatabaseSettings:
    """Where the control plane's tables are."""

    url: str  # MAILCHUTE_DATABASE_URL: sqlite:///… or postgresql://…
    master_key_file: str  # MAILCHUTE_MASTER_KEY_FILE: 32 octets, base64; opens sealed secrets

    @classmethod
    def read(cls, reader: Reader) -> DatabaseSettings:
        # It holds a password, so OpenFaaS mounts it as a secret.
        given = {"MAILCHUTE_DATABASE_URL": reader.secret("MAILCHUTE_DATABASE_URL")}
        return cls(
            url=Reader({**reader.environ, **given}, reader.mistakes).url(
                "MAILCHUTE_DATABASE_URL",
                "sqlite:///mailchute.db",
                ("sqlite", "postgresql", "postgresql+psycopg"),
            ),
            master_key_file=reader.text("MAILCHUTE_MASTER_KEY_FILE"),
        )


@dataclass(frozen=True, kw_only=True)
class S3Settings:
    """Where large attachments go."""

    endpoint: str  # MAILCHUTE_S3_ENDPOINT; "" is AWS's own
    bucket: str  # MAILCHUTE_S3_BUCKET; "": no storage is configured
    access_key: str
    secret_key: str
    region: str

    @classmethod
    def read(cls, reader: Reader) -> S3Settings:
        return cls(
            endpoint=reader.url("MAILCHUTE_S3_ENDPOINT", "", ("http", "https")),
            bucket=reader.text("MAILCHUTE_S3_BUCKET"),
            access_key=reader.secret("MAILCHUTE_S3_ACCESS_KEY"),
            secret_key=reader.secret("MAILCHUTE_S3_SECRET_KEY"),
            region=reader.text("MAILCHUTE_S3_REGION", "us-east-1"),
        )


@dataclass(frozen=True, kw_only=True)
class DnsSettings:
    """Which resolver to ask."""

    host: str  # MAILCHUTE_DNS; "" is the system's
    port: int

    @classmethod
    def read(cls, reader: Reader) -> DnsSettings:
        if not reader.text("MAILCHUTE_DNS"):
            return cls(host="", port=53)
        value = reader.text("MAILCHUTE_DNS")
        if ":" not in value:
            return cls(host=value, port=53)
        host, port = reader.address("MAILCHUTE_DNS", "")
        return cls(host=host, port=port)
