"""What an operator can set for the SMTP edge, read once from the environment."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mailchute.errors import MalformedPath
from mailchute.settings import DatabaseSettings, DnsSettings, NatsSettings, Network, Reader

from smtp_ingress.address import path_of
from smtp_ingress.dnsbl import DnsList, lists_of

MEBIOCTETS = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Timers:
    """How long we wait for a client, in seconds."""

    command_s: float  # MAILCHUTE_COMMAND_TIMEOUT_S: 300 (RFC 5321, 4.5.3.2.7)
    stressed_command_s: (
        float  # MAILCHUTE_STRESSED_TIMEOUT_S: 10 (Postfix, stress-adaptive), over 80 % of connections
    )
    block_s: float  # MAILCHUTE_DATA_TIMEOUT_S: between two blocks of content, 180 (RFC 5321, 4.5.3.2.5)
    session_s: float  # MAILCHUTE_SESSION_TIMEOUT_S: all of a connection, 7200
    banner_s: (
        float  # MAILCHUTE_BANNER_DELAY_S: silence before the greeting, 0 (Postfix postscreen: 6 when on)
    )
    publish_s: (
        float  # MAILCHUTE_PUBLISH_TIMEOUT_S: for the PubAck, 20 (clients wait 600: RFC 5321, 4.5.3.2.6)
    )
    drain_s: float  # MAILCHUTE_DRAIN_TIMEOUT_S: for transactions under way at SIGTERM, 30
    through_s: float  # MAILCHUTE_THROUGH_TIMEOUT_S: for the webhook's answer, 55
    slowest_octets_s: (
        int  # MAILCHUTE_SLOWEST_OCTETS_PER_S: average of a DATA after a minute, 100; 0 is no limit
    )

    @classmethod
    def read(cls, reader: Reader) -> Timers:
        return cls(
            command_s=reader.seconds("MAILCHUTE_COMMAND_TIMEOUT_S", 300, low=0.1, high=3_600),
            stressed_command_s=reader.seconds("MAILCHUTE_STRESSED_TIMEOUT_S", 10, low=0.1, high=3_600),
            block_s=reader.seconds("MAILCHUTE_DATA_TIMEOUT_S", 180, low=0.1, high=3_600),
            session_s=reader.seconds("MAILCHUTE_SESSION_TIMEOUT_S", 7_200, low=0.1, high=86_400),
            banner_s=reader.seconds("MAILCHUTE_BANNER_DELAY_S", 0, high=60),
            publish_s=reader.seconds("MAILCHUTE_PUBLISH_TIMEOUT_S", 20, low=0.1, high=300),
            drain_s=reader.seconds("MAILCHUTE_DRAIN_TIMEOUT_S", 30, high=600),
            through_s=reader.seconds("MAILCHUTE_THROUGH_TIMEOUT_S", 55, low=5, high=300),
            slowest_octets_s=reader.whole("MAILCHUTE_SLOWEST_OCTETS_PER_S", 100, low=0, high=1_000_000),
        )


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much a client may ask for; counted over all processes of this host."""

    message_octets: int  # MAILCHUTE_MAX_MESSAGE_OCTETS: 26214400
    line_octets: (
        int  # MAILCHUTE_MAX_LINE_OCTETS: of content, 65536 (RFC 5321, 4.5.3.1.6: 1000; real mail has more)
    )
    memory_octets: int  # MAILCHUTE_MEMORY_OCTETS: content of all mails in flight, 268435456
    connections: int  # MAILCHUTE_MAX_CONNECTIONS: 1000 (Postfix: 100 processes)
    network_connections: (
        int  # MAILCHUTE_MAX_CONNECTIONS_PER_NETWORK: per /24 or /64, 50 (Postfix: 50 a client)
    )
    network_rate: int  # MAILCHUTE_MAX_CONNECTIONS_PER_NETWORK_MINUTE: 300 (mox); 0 is no limit
    through: int  # MAILCHUTE_MAX_THROUGH: clients that wait for a webhook's answer, 256
    guess_rate: (
        int  # MAILCHUTE_MAX_UNKNOWN_PER_NETWORK_MINUTE: recipients that do not exist, 100; 0: no limit
    )
    alias_rate: int  # MAILCHUTE_MAX_MAILS_PER_ALIAS_MINUTE: 0, no limit
    backscatter_rate: int  # MAILCHUTE_MAX_BACKSCATTER_PER_ALIAS_MINUTE: 60; 0 is no limit
    recipients: int  # MAILCHUTE_MAX_RECIPIENTS: 100 (RFC 5321, 4.5.3.1.8: no less)
    transactions: int  # MAILCHUTE_MAX_TRANSACTIONS: of a connection, 10000
    commands: int  # MAILCHUTE_MAX_IDLE_COMMANDS: between two mails, 100 (Postfix: smtpd_junk_command_limit)
    errors: int  # MAILCHUTE_MAX_ERRORS: of a connection, 20 (Postfix: smtpd_hard_error_limit)
    exempt: tuple[Network, ...]  # MAILCHUTE_LIMITS_EXEMPT: no counting per network, 127.0.0.0/8,::1/128

    @classmethod
    def read(cls, reader: Reader) -> Limits:
        def whole(name: str, default: int, low: int = 0, high: int = 1_000_000) -> int:
            return reader.whole(f"MAILCHUTE_MAX_{name}", default, low=low, high=high)

        return cls(
            message_octets=whole("MESSAGE_OCTETS", 25 * MEBIOCTETS, 64 * 1024, 1024 * MEBIOCTETS),
            line_octets=whole("LINE_OCTETS", 65_536, 1_000, 16 * MEBIOCTETS),
            memory_octets=reader.whole(
                "MAILCHUTE_MEMORY_OCTETS", 256 * MEBIOCTETS, low=4 * MEBIOCTETS, high=1024**4
            ),
            connections=whole("CONNECTIONS", 1_000, 1),
            network_connections=whole("CONNECTIONS_PER_NETWORK", 50, 1),
            network_rate=whole("CONNECTIONS_PER_NETWORK_MINUTE", 300),
            through=whole("THROUGH", 256, 1),
            guess_rate=whole("UNKNOWN_PER_NETWORK_MINUTE", 100),
            alias_rate=whole("MAILS_PER_ALIAS_MINUTE", 0),
            backscatter_rate=whole("BACKSCATTER_PER_ALIAS_MINUTE", 60),
            recipients=whole("RECIPIENTS", 100, 100, 1_000),
            transactions=whole("TRANSACTIONS", 10_000, 1),
            commands=whole("IDLE_COMMANDS", 100, 10),
            errors=whole("ERRORS", 20, 1),
            exempt=reader.networks("MAILCHUTE_LIMITS_EXEMPT", "127.0.0.0/8,::1/128"),
        )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All of the room's settings."""

    host: str  # MAILCHUTE_SMTP
    port: int
    hostname: str  # MAILCHUTE_HOSTNAME: how the server calls itself; the machine's name by default
    processes: int  # MAILCHUTE_SMTP_PROCESSES: 1
    nats: NatsSettings
    database: DatabaseSettings
    timers: Timers
    limits: Limits
    postmaster_alias: (
        str  # MAILCHUTE_POSTMASTER_ALIAS: takes postmaster@ and abuse@ where nothing else does; ""
    )
    protected: frozenset[str]  # MAILCHUTE_PROTECTED: local-parts a catch-all does not take, noreply,no-reply
    tls_cert_file: Path | None  # MAILCHUTE_TLS_CERT_FILE and _KEY_FILE: None, no STARTTLS
    tls_key_file: Path | None
    proxy_from: tuple[Network, ...]  # MAILCHUTE_PROXY_FROM: load balancers that speak PROXY; "", none
    blocklist_file: Path | None  # MAILCHUTE_BLOCKLIST_FILE: networks, domains, addresses to refuse; none
    dns: DnsSettings  # MAILCHUTE_DNS
    dns_lists: tuple[DnsList, ...]  # MAILCHUTE_DNSBL: zen.example=refuse,other.example=score; none
    metrics: tuple[str, int] | None  # MAILCHUTE_METRICS: host:port of loopback; off
    disk: Path | None  # MAILCHUTE_DISK: a directory on the disk that NATS writes to; none
    disk_free_octets: int  # MAILCHUTE_DISK_FREE_OCTETS: with less, 452; 1073741824
    log_level: str  # MAILCHUTE_LOG_LEVEL

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """
        Raises:
            BadSetting: One line per mistake.
        """
        reader = Reader(environ)
        host, port = reader.address("MAILCHUTE_SMTP", "127.0.0.1:2525")
        cert_file, key_file = (_file(reader, f"MAILCHUTE_TLS_{part}_FILE") for part in ("CERT", "KEY"))
        if (cert_file is None) != (key_file is None):
            reader.mistakes.append(
                "MAILCHUTE_TLS_CERT_FILE and MAILCHUTE_TLS_KEY_FILE: expected both, or none"
            )
        settings = cls(
            host=host,
            port=port,
            hostname=_hostname(reader),
            processes=reader.whole("MAILCHUTE_SMTP_PROCESSES", 1, low=1, high=256),
            nats=NatsSettings.read(reader),
            database=DatabaseSettings.read(reader),
            timers=Timers.read(reader),
            limits=Limits.read(reader),
            postmaster_alias=_mailbox(reader, "MAILCHUTE_POSTMASTER_ALIAS"),
            protected=_words(reader.text("MAILCHUTE_PROTECTED", "noreply,no-reply")),
            tls_cert_file=cert_file,
            tls_key_file=key_file,
            proxy_from=reader.networks("MAILCHUTE_PROXY_FROM"),
            blocklist_file=_file(reader, "MAILCHUTE_BLOCKLIST_FILE"),
            dns=DnsSettings.read(reader),
            dns_lists=_dns_lists(reader),
            metrics=_metrics(reader),
            disk=_file(reader, "MAILCHUTE_DISK"),
            disk_free_octets=reader.whole(
                "MAILCHUTE_DISK_FREE_OCTETS", 1024 * MEBIOCTETS, low=0, high=1024**5
            ),
            log_level=reader.choice("MAILCHUTE_LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO"),
        )
        reader.check()
        return settings


def _hostname(reader: Reader) -> str:
    name = reader.text("MAILCHUTE_HOSTNAME") or socket.getfqdn()
    if not name.isascii() or any(c.isspace() for c in name):
        reader.mistakes.append(f"MAILCHUTE_HOSTNAME is {name!r}: expected a host name such as mx.example.org")
    return name


def _mailbox(reader: Reader, name: str) -> str:
    value = reader.text(name)
    try:
        return str(path_of(value)) if value else ""
    except MalformedPath:
        reader.mistakes.append(f"{name} is {value!r}: expected a mailbox such as postmaster@inbox.test")
        return ""


def _dns_lists(reader: Reader) -> tuple[DnsList, ...]:
    value = reader.text("MAILCHUTE_DNSBL")
    try:
        return lists_of(value)
    except ValueError:
        reader.mistakes.append(
            f"MAILCHUTE_DNSBL is {value!r}: expected zone=refuse or zone=score, divided by commas"
        )
        return ()


def _metrics(reader: Reader) -> tuple[str, int] | None:
    name = "MAILCHUTE_METRICS"
    if not reader.text(name):
        return None
    host, port = reader.address(name, "")
    if host not in ("127.0.0.1", "::1", "localhost"):
        reader.mistakes.append(f"{name} is {reader.text(name)!r}: expected a loopback address")
    return host, port


def _file(reader: Reader, name: str) -> Path | None:
    value = reader.text(name)
    if value and not os.access(value, os.R_OK):
        reader.mistakes.append(f"{name} is {value!r}: expected a file that can be read")
    return Path(value) if value else None


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip().lower() for word in text.split(",") if word.strip())
