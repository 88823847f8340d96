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
            deadline_s=reader.seconds("MAILCHUTE_SCAN_DEADLINE", 10.0, low=0.5, high=25),
        )
        reader.check()
        return settings
