"""The operator's own list of clients and senders that are refused."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from mailchute.envelope import Path as Mailbox
from mailchute.errors import BadSetting
from mailchute.eventlog import EventLog
from mailchute.settings import Network

from smtp_ingress.admission import is_in


class Blocklist:
    """
    A file with one entry per line: a network (192.0.2.0/24), a domain with all below it (spam.test), or an
    address (ann@spam.test). What follows a # is a remark.

    Raises:
        BadSetting: The file cannot be read, or a line is none of these.
    """

    def __init__(self, file: Path | None, *, log: EventLog) -> None:
        self._file = file
        self._log = log
        self._networks: tuple[Network, ...] = ()
        self._names: frozenset[str] = frozenset()
        self._read_at = 0
        if file is not None:
            self._read(file)

    def has_client(self, client_ip: str) -> bool:
        return is_in(client_ip, self._networks)

    def has_sender(self, sender: Mailbox) -> bool:
        if not self._names:
            return False
        labels = sender.domain.split(".")
        domains = {".".join(labels[index:]) for index in range(len(labels))}
        return not self._names.isdisjoint(domains | {str(sender).lower()})

    def refresh(self) -> None:
        """Read the file again if it changed; a mistake in it leaves the list in use."""
        if self._file is None:
            return
        try:
            if self._file.stat().st_mtime_ns != self._read_at:
                self._read(self._file)
                self._log.info("blocklist-loaded", count=len(self._networks) + len(self._names))
        except (OSError, BadSetting) as error:
            self._log.error("blocklist-refused", reason=str(error))

    def _read(self, file: Path) -> None:
        networks: list[Network] = []
        names: list[str] = []
        self._read_at = file.stat().st_mtime_ns
        for number, line in enumerate(file.read_text().splitlines(), 1):
            entry = line.partition("#")[0].strip().lower()
            try:
                if entry[:1].isdecimal() or ":" in entry:
                    networks.append(ipaddress.ip_network(entry))
                elif entry and not any(character.isspace() for character in entry):
                    names.append(entry.removeprefix("@"))
                elif entry:
                    raise ValueError
            except ValueError as error:
                raise BadSetting(
                    f"MAILCHUTE_BLOCKLIST_FILE is {str(file)!r}: line {number}: "
                    "expected a network, a domain or an address"
                ) from error
        self._networks, self._names = tuple(networks), frozenset(names)
