"""The operator's own list of clients and senders that are refused."""

from __future__ import annotations

from pathlib import Path

from mailchute.blocks import Blocks, canonical, kind_of
from mailchute.envelope import Path as Mailbox
from mailchute.errors import BadSetting
from mailchute.eventlog import EventLog


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
        self._blocks = Blocks()
        self._read_at = 0
        if file is not None:
            self._read(file)

    def has_client(self, client_ip: str) -> bool:
        return self._blocks.has_client(client_ip)

    def has_sender(self, sender: Mailbox) -> bool:
        return self._blocks.has_sender(sender)

    def refresh(self) -> None:
        """Read the file again if it changed; a mistake in it leaves the list in use."""
        if self._file is None:
            return
        try:
            if self._file.stat().st_mtime_ns != self._read_at:
                self._read(self._file)
                self._log.info("blocklist-loaded", count=len(self._blocks))
        except (OSError, BadSetting) as error:
            self._log.error("blocklist-refused", reason=str(error))

    def _read(self, file: Path) -> None:
        entries: list[tuple[str, str]] = []
        self._read_at = file.stat().st_mtime_ns
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            text = line.partition("#")[0].strip()
            if not text:
                continue
            kind = kind_of(text)
            try:
                entries.append((kind, canonical(kind, text)))
            except ValueError as error:
                raise BadSetting(
                    f"MAILCHUTE_BLOCKLIST_FILE is {str(file)!r}: line {number}: "
                    f"expected a network, a domain or an address; {error}"
                ) from error
        self._blocks = Blocks(entries)
