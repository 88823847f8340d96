"""Reads the content of a mail from its client: after DATA to the final dot, or in BDAT's chunks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mailchute.errors import MailchuteError

from smtp_ingress.content import BareNewline, DottedContent, Lines, LineTooLong
from smtp_ingress.inbox import Inbox
from smtp_ingress.intake import Intake
from smtp_ingress.replies import BARE_NEWLINE, CONTENT_LINE_TOO_LONG, TOO_SLOW, Refused, refusal_of

SURPLUS_OCTETS = 1024 * 1024  # read and thrown away after a refusal, so that the client hears it at its dot
GRACE_S = 60.0  # before the average speed of a client counts


class Reception:
    """
    One mail's way from the inbox into its intake.

    A refusal in mid-stream is kept until the client has come to its end, unless that is too far: then the
    connection closes at once.

    Args:
        expect: Told before each wait for the client.
        slowest_octets_s: The average below which it is cut off; 0 is no limit.
    """

    def __init__(
        self,
        inbox: Inbox,
        intake: Intake,
        *,
        line_limit_octets: int,
        slowest_octets_s: int,
        expect: Callable[[], None],
    ) -> None:
        self._inbox = inbox
        self._intake = intake
        self._line_limit_octets = line_limit_octets
        self._slowest_octets_s = slowest_octets_s
        self._expect = expect
        self._clock = asyncio.get_running_loop().time
        self._began_at = self._clock()
        self._read_octets = 0
        self._surplus_octets = 0
        self._refusal: Refused | None = None
        self._lines = Lines(line_limit_octets)
        self._held = b""  # a CR at the end of a chunk, whose LF may begin the next

    async def dotted(self) -> None:
        """
        Take in everything up to the final dot.

        Raises:
            Refused: Why the mail is not taken.
            EOFError: The client is gone.
        """
        content = DottedContent(self._line_limit_octets)
        while content.rest is None:
            block = await self._block()
            try:
                piece = content.feed(block)
            except LineTooLong:
                self._refuse(Refused(CONTENT_LINE_TOO_LONG.format(limit=self._line_limit_octets)))
                piece = b""
            except BareNewline as error:
                raise Refused(BARE_NEWLINE, closes=True) from error
            await self._take(piece, len(block))
        self._inbox.unread(content.rest)
        if self._refusal is not None:
            raise self._refusal

    async def chunk(self, size_octets: int, *, is_last: bool) -> None:
        """Take in the octets of one BDAT. Raises: as dotted."""
        while size_octets > 0:
            block = await self._block(size_octets)
            size_octets -= len(block)
            await self._take(self._checked(block), len(block))
        if is_last and self._held:
            raise Refused(BARE_NEWLINE, closes=True)
        if self._refusal is not None:
            raise self._refusal

    def _checked(self, block: bytes) -> bytes:
        octets = self._held + block
        self._held = b"\r" if octets.endswith(b"\r") else b""
        octets = octets[:-1] if self._held else octets
        try:
            self._lines.check(octets)
        except LineTooLong:
            self._refuse(Refused(CONTENT_LINE_TOO_LONG.format(limit=self._line_limit_octets)))
            return b""
        except BareNewline as error:
            raise Refused(BARE_NEWLINE, closes=True) from error
        return octets

    async def _block(self, at_most_octets: int = 1 << 30) -> bytes:
        self._expect()
        block = await self._inbox.block(at_most_octets)
        self._read_octets += len(block)
        passed_s = self._clock() - self._began_at
        if passed_s > GRACE_S and self._read_octets < passed_s * self._slowest_octets_s:
            raise Refused(TOO_SLOW, closes=True)
        return block

    async def _take(self, piece: bytes, read_octets: int) -> None:
        if self._refusal is None and piece:
            try:
                await self._intake.add(piece)
            except (Refused, MailchuteError) as error:
                self._refuse(error if isinstance(error, Refused) else refusal_of(error))
                await self._intake.abort()
        if self._refusal is not None:
            self._surplus_octets += read_octets
            if self._surplus_octets > SURPLUS_OCTETS:
                raise Refused(self._refusal.reply, closes=True)

    def _refuse(self, refusal: Refused) -> None:
        self._refusal = self._refusal or refusal
