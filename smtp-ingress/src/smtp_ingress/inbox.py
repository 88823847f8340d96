"""What a client has sent and nobody has read yet: lines for commands, blocks for content."""

from __future__ import annotations

import asyncio

from smtp_ingress.replies import BARE_NEWLINE, LINE_TOO_LONG, Refused

COMMAND_MAX_OCTETS = 2048  # RFC 5321, 4.5.3.1.4 says 512; SIZE, SMTPUTF8 and DSN's parameters add to it
HIGH_WATER_OCTETS = 64 * 1024  # with this much unread the socket is left alone, and the client waits


class Inbox:
    """A buffer between the transport and one reader; it bounds what a client can make us hold."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._octets = bytearray()
        self._reader: asyncio.Future[None] | None = None
        self._is_paused = False
        self._is_ended = False

    def __len__(self) -> int:
        return len(self._octets)

    def feed(self, octets: bytes) -> None:
        self._octets += octets
        self._wake()
        if len(self._octets) > HIGH_WATER_OCTETS and not self._is_paused and self.transport is not None:
            self._is_paused = True
            self.transport.pause_reading()

    def end(self) -> None:
        """The client sends no more; what it has sent can still be read."""
        self._is_ended = True
        self._wake()

    def clear(self) -> None:
        self._octets.clear()

    def unread(self, octets: bytes) -> None:
        """Put back what belongs to the next reader."""
        self._octets[:0] = octets

    async def line(self) -> bytes:
        """
        Return the next command line without its CR LF.

        Raises:
            Refused: It does not end in CR LF, or is too long to be a command.
            EOFError: The client is gone.
        """
        seen = 0
        while (end := self._octets.find(b"\n", seen)) < 0:
            seen = len(self._octets)
            if seen >= COMMAND_MAX_OCTETS:
                raise Refused(LINE_TOO_LONG, closes=True)
            await self._more()
        if end >= COMMAND_MAX_OCTETS:
            raise Refused(LINE_TOO_LONG, closes=True)
        line = bytes(self._octets[: end + 1])
        del self._octets[: end + 1]
        if not line.endswith(b"\r\n") or line.count(b"\r") != 1:
            raise Refused(BARE_NEWLINE, closes=True)
        return line[:-2]

    async def block(self, at_most_octets: int = 1 << 30) -> bytes:
        """Return what is there, waiting for the first octet. Raises: EOFError, the client is gone."""
        while not self._octets:
            await self._more()
        if len(self._octets) <= at_most_octets:
            block = bytes(self._octets)
            self._octets.clear()
        else:
            block = bytes(self._octets[:at_most_octets])
            del self._octets[:at_most_octets]
        return block

    async def silence(self, seconds: float) -> bool:
        """Return whether the client sent nothing for so long."""
        if not self._octets and not self._is_ended:
            try:
                async with asyncio.timeout(seconds):
                    await self._more()
            except TimeoutError:
                return True
        return not self._octets

    async def _more(self) -> None:
        if self._is_ended:
            raise EOFError
        if self._is_paused and self.transport is not None:
            self._is_paused = False
            self.transport.resume_reading()
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
