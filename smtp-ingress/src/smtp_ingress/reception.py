"""Reads the content of a mail from its client: after DATA to the final dot, or in BDAT's chunks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mailchute.errors import MailchuteError

from smtp_ingress.content import BareNewline, DottedContent, Lines, LineTooLong
from smtp_ingress.inbox import Inbox
from smtp_ingress.intake import Intake
from smtp_ingress.replies import BARE_NEWLINE, CONTENT_LINE_TOO_LONG, TOO_SLOW, Refused, refusal_of
from smtp_ingress.settings import Limits, Timers

GRACE_S = 60.0  # before the average speed of a client counts


class Reception:
    """
    One mail's way from the inbox into its intake.

    A refusal in mid-stream is kept until the client has come to its end, for most clients read no reply
    before; unless that is over another mail's size away: then the connection closes.

    Args:
        expect: Told before each wait for the client.
        release: Gives back what the mail holds, once it is refused.
        clock: Seconds; the loop's by default.
    """

    def __init__(
        self,
        inbox: Inbox,
        intake: Intake,
        *,
        limits: Limits,
        timers: Timers,
        expect: Callable[[], None],
        release: Callable[[], Awaitable[None]],
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._inbox = inbox
        self._intake = intake
        self._line_limit_octets = limits.line_octets
        self._slowest_octets_s = timers.slowest_octets_s
        self._expect = expect
        self._release = release
        self._surplus_left_octets = limits.message_octets  # read and thrown away after a refusal
        self._clock = clock or asyncio.get_running_loop().time
        self._began_at = self._clock()
        self._read_octets = 0
        self._refusal: Refused | None = None
        self._lines = Lines(limits.line_octets)
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
                await self._refuse(Refused(CONTENT_LINE_TOO_LONG.format(limit=self._line_limit_octets)))
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
            await self._take(await self._checked(block), len(block))
        if is_last and self._held:
            raise Refused(BARE_NEWLINE, closes=True)
        if self._refusal is not None:
            raise self._refusal

    async def _checked(self, block: bytes) -> bytes:
        octets = self._held + block
        self._held = b"\r" if octets.endswith(b"\r") else b""
        octets = octets[:-1] if self._held else octets
        try:
            self._lines.check(octets)
        except LineTooLong:
            await self._refuse(Refused(CONTENT_LINE_TOO_LONG.format(limit=self._line_limit_octets)))
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
                await self._refuse(error if isinstance(error, Refused) else refusal_of(error))
        if self._refusal is not None:
            self._surplus_left_octets -= read_octets
            if self._surplus_left_octets < 0:
                raise Refused(self._refusal.reply, closes=True)

    async def _refuse(self, refusal: Refused) -> None:
        if self._refusal is None:
            self._refusal = refusal
            await self._release()
