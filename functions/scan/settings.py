"""What an operator may set about scanning."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mailchute.settings import DnsSettings, Reader


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of scan."""

    dns: DnsSettings
    authserv_id: str = "localhost"  # MAILCHUTE_HOSTNAME
    arc_trusted: frozenset[str] = frozenset()  # MAILCHUTE_ARC_TRUSTED: domains whose seals are believed
    rules_dir: Path | None = None  # MAILCHUTE_SPAM_RULES: *.toml beside the shipped ones; None: those alone
    model_file: Path | None = None  # MAILCHUTE_SPAM_MODEL: of `mailchute spam train`; None: untrained
    dnsbl: tuple[str, ...] = ()  # MAILCHUTE_DNSBL: lists asked about the client, such as zen.spamhaus.org
    uribl: tuple[str, ...] = ()  # MAILCHUTE_URIBL: lists asked about links, such as dbl.spamhaus.org
    disposable_feed: str = ""  # MAILCHUTE_DISPOSABLE_FEED: URL of a list of throw-away domains, one a line
    phishing_feed: str = ""  # MAILCHUTE_PHISHING_FEED: URL of a list of phishing pages, one a line
    feed_interval_s: float = 21_600.0  # MAILCHUTE_FEED_INTERVAL: between fetches
    rspamd_url: str = ""  # MAILCHUTE_RSPAMD_URL: of its normal worker; "": the built-in engine
    clamd: str = ""  # MAILCHUTE_CLAMD: host:port, or the path of its socket; "": no virus scanner
    bursts_file: Path | None = None  # MAILCHUTE_BURSTS_FILE: where scans of one host count together
    deadline_s: float = 10.0  # MAILCHUTE_SCAN_DEADLINE: of a whole scan

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """
        Return the settings of this environment.

        Raises:
            BadSetting: One line per mistake.
        """
        reader = Reader(environ)
        rules_dir = reader.text("MAILCHUTE_SPAM_RULES")
        if rules_dir and not Path(rules_dir).is_dir():
            reader.mistakes.append(
                f"MAILCHUTE_SPAM_RULES is {rules_dir!r}: expected a folder of *.toml files"
            )
        settings = cls(
            dns=DnsSettings.read(reader),
            authserv_id=reader.text("MAILCHUTE_HOSTNAME") or socket.getfqdn(),
            arc_trusted=frozenset(reader.text("MAILCHUTE_ARC_TRUSTED").lower().replace(",", " ").split()),
            rules_dir=Path(rules_dir) if rules_dir else None,
            model_file=_file(reader, "MAILCHUTE_SPAM_MODEL"),
            dnsbl=_zones(reader, "MAILCHUTE_DNSBL"),
            uribl=_zones(reader, "MAILCHUTE_URIBL"),
            disposable_feed=reader.url("MAILCHUTE_DISPOSABLE_FEED", "", ("http", "https")),
            phishing_feed=reader.url("MAILCHUTE_PHISHING_FEED", "", ("http", "https")),
            feed_interval_s=reader.seconds("MAILCHUTE_FEED_INTERVAL", 21_600.0, low=1),
            rspamd_url=reader.url("MAILCHUTE_RSPAMD_URL", "", ("http", "https")),
            clamd=_clamd(reader),
            bursts_file=Path(bursts) if (bursts := reader.text("MAILCHUTE_BURSTS_FILE")) else None,
            deadline_s=reader.seconds("MAILCHUTE_SCAN_DEADLINE", 10.0, low=0.5, high=25),
        )
        reader.check()
        return settings


def _file(reader: Reader, name: str) -> Path | None:
    value = reader.text(name)
    if value and not Path(value).is_file():
        reader.mistakes.append(f"{name} is {value!r}: expected a file")
    return Path(value) if value else None


def _zones(reader: Reader, name: str) -> tuple[str, ...]:
    entries = reader.text(name).lower().replace(",", " ").split()
    zones = tuple(entry.partition("=")[0] for entry in entries)  # "=refuse" is the ingress's part
    for zone in zones:
        if "." not in zone.strip("."):
            reader.mistakes.append(f"{name} has {zone!r}: expected domains such as zen.spamhaus.org")
    return tuple(zone.strip(".") for zone in zones)


def _clamd(reader: Reader) -> str:
    value = reader.text("MAILCHUTE_CLAMD")
    if value and "/" not in value:
        reader.address("MAILCHUTE_CLAMD", "")
    return value
