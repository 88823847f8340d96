"""Mail written to disk before the clock starts, so that sending it costs the load generator little."""

from __future__ import annotations

import itertools
import json
import mmap
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.mails import Mail


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Where one mail lies in the spool."""

    token: str
    kind: str
    sender: str
    offset: int
    size_octets: int  # on the wire: dot-stuffed, with the final dot
    recipient: str


class Spool:
    """A file of mails as they go over the wire, and its index."""

    def __init__(self, folder: Path) -> None:
        self._index = folder / "index.jsonl"
        self._octets = folder / "mails.bin"

    def write(self, mails: Iterable[Mail], recipient: str | Iterator[str]) -> int:
        """Write the mails, all to `recipient` or each to the next one; return how many."""
        recipients = itertools.repeat(recipient) if isinstance(recipient, str) else recipient
        self._index.parent.mkdir(parents=True, exist_ok=True)
        offset = count = 0
        with self._octets.open("wb") as octets, self._index.open("w") as index:
            for mail in mails:
                wire = on_the_wire(mail.octets)
                entry = Entry(
                    token=mail.token, kind=mail.kind, sender=mail.sender,
                    offset=offset, size_octets=len(wire), recipient=next(recipients),
                )  # fmt: skip
                octets.write(wire)
                index.write(json.dumps(asdict(entry)) + "\n")
                offset += len(wire)
                count += 1
        return count

    def read(self) -> Iterator[tuple[Entry, memoryview]]:
        """Yield each entry with its octets, which stay on disk until they are sent."""
        with self._octets.open("rb") as file:
            view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        for line in self._index.read_text().splitlines():
            entry = Entry(**json.loads(line))
            yield entry, view[entry.offset : entry.offset + entry.size_octets]


def on_the_wire(octets: bytes) -> bytes:
    """Return the content dot-stuffed and ended (RFC 5321, 4.5.2)."""
    stuffed = octets.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + (b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n")
