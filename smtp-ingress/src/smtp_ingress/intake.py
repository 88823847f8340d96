"""One mail on its way in: counted, hashed, held in memory while it is small, streamed away when it is not."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Protocol

from mailchute.mail import ContentRef

from smtp_ingress.replies import TOO_BIG, TOO_MANY_HOPS, Refused

RECEIVED_MAX_COUNT = (
    50  # more is a loop; RFC 5321, 6.3 asks for 100 at least, chasquid and Exim use 50 and 30
)

_RECEIVED = re.compile(rb"\r\nreceived[ \t]*:", re.IGNORECASE)
_FIELD_OCTETS = 64  # enough of the last block to find a field name that two blocks share


class ObjectWriter(Protocol):
    """One object in the Object Store, written while it arrives."""

    async def write(self, chunk: bytes) -> None: ...
    async def commit(self) -> ContentRef: ...
    async def abort(self) -> None: ...


class Intake:
    """
    What arrives between DATA and its end.

    Args:
        limit_octets: The mail's; what goes beyond is refused at once, in mid-stream.
        memory_octets: What may be held here; a bigger mail goes to the Object Store piece by piece.
        open_writers: Starts one object per recipient, each with its trace fields written.
    """

    def __init__(
        self,
        *,
        limit_octets: int,
        memory_octets: int,
        open_writers: Callable[[], Awaitable[list[ObjectWriter]]],
    ) -> None:
        self.size_octets = 0
        self.writers: list[ObjectWriter] = []  # empty: the content is in `pieces`
        self.pieces: list[bytes] = []
        self.reserved_octets = 0  # of memory, to be given back
        self.is_accepted = False  # the objects belong to a mail on the stream, or may do so
        self._limit_octets = limit_octets
        self._memory_octets = memory_octets
        self._open_writers = open_writers
        self._digest = hashlib.sha256()
        self._received_count = 0
        self._head: bytes | None = b"\r\n"  # the end of the last block; None once past the header section

    async def add(self, piece: bytes) -> None:
        """
        Raises:
            Refused: The mail is over its limit, or goes in a loop.
            StreamFull, StreamUnavailable: The Object Store does not take it.
        """
        self.size_octets += len(piece)
        if self.size_octets > self._limit_octets:
            raise Refused(TOO_BIG.format(limit=self._limit_octets))
        self._digest.update(piece)
        if self._head is not None:
            self._count_received(self._head, piece)
        if not self.writers:
            self.pieces.append(piece)
            if self.size_octets <= self._memory_octets:
                return
            self.writers = await self._open_writers()
            piece, self.pieces = b"".join(self.pieces), []
        for writer in self.writers:
            await writer.write(piece)

    def sha256(self) -> bytes:
        return self._digest.digest()

    async def abort(self) -> None:
        """Leave nothing behind of a mail that was not accepted."""
        writers, self.writers, self.pieces = self.writers, [], []
        for writer in writers:
            await writer.abort()

    def _count_received(self, head: bytes, piece: bytes) -> None:
        octets = head + piece
        end = octets.find(b"\r\n\r\n")
        section = octets if end < 0 else octets[: end + 2]
        found = _RECEIVED.findall(section)
        self._received_count += len(found) - len(_RECEIVED.findall(head))
        self._head = None if end >= 0 else octets[-_FIELD_OCTETS:]
        if self._received_count > RECEIVED_MAX_COUNT:
            raise Refused(TOO_MANY_HOPS.format(limit=RECEIVED_MAX_COUNT))
