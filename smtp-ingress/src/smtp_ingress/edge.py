"""What all sessions of one process share: who is here, how much is in flight, and where mail goes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from mailchute.alias import AliasSnapshot
from mailchute.envelope import Path
from mailchute.errors import MailchuteError
from mailchute.eventlog import EventLog
from mailchute.subjects import REF_LIMIT_OCTETS

from smtp_ingress import replies
from smtp_ingress.acceptance import Acceptance, Draft
from smtp_ingress.admission import Admission
from smtp_ingress.blocklist import Blocklist
from smtp_ingress.board import Row
from smtp_ingress.dnsbl import DnsLists
from smtp_ingress.intake import Intake, ObjectWriter
from smtp_ingress.owner import check_standing
from smtp_ingress.recipients import Recipients
from smtp_ingress.replies import Refused
from smtp_ingress.room import room_of
from smtp_ingress.settings import Settings
from smtp_ingress.through import Through
from smtp_ingress.transaction import Transaction

NO_LIMIT_OCTETS = 1 << 62


class Stock(Protocol):
    """What the last look at a place that mail goes to found."""

    is_ready: bool  # it answers
    is_full: bool


class Guest(Protocol):
    """A session, as far as a server that is closing deals with it."""

    def close_when_idle(self) -> None: ...
    def say(self, reply: str) -> None: ...
    def end(self) -> None: ...


@dataclass(kw_only=True)
class Edge:
    """The state that one process's sessions work on."""

    settings: Settings
    row: Row
    admission: Admission
    recipients: Recipients
    acceptance: Acceptance
    through: Through
    stocks: tuple[Stock, ...]  # any of them full: 452
    blocklist: Blocklist
    lists: DnsLists
    log: EventLog
    tls_context: ssl.SSLContext | None = None
    content_limit_octets: int = REF_LIMIT_OCTETS  # what a stream message may carry
    sessions: set[Guest] = field(default_factory=set)
    is_closing: bool = False
    _accepting: set[asyncio.Task[str]] = field(default_factory=set)

    def command_s(self) -> float:
        """Return how long a client may take for its next command; less when there are many."""
        timers = self.settings.timers
        return timers.stressed_command_s if self.admission.is_stressed else timers.command_s

    def is_ready(self) -> bool:
        """Return whether a mail sent now would be taken."""
        return not self.is_closing and all(stock.is_ready and not stock.is_full for stock in self.stocks)

    def check_stocks(self) -> None:
        """Raise Refused while no mail can be stored."""
        if any(stock.is_full for stock in self.stocks):
            self.row.count("mails_deferred")
            raise Refused(replies.FULL)

    def check_sender(self, sender: Path | None) -> None:
        """Raise Refused when the operator wants no mail from it."""
        if sender is not None and self.blocklist.has_sender(sender):
            raise Refused(replies.SENDER_BLOCKED)

    async def check_recipient(
        self, path: Path, alias: AliasSnapshot, begun: Transaction, *, client_ip: str
    ) -> None:
        """
        Raises:
            Refused: Its owner does not want the mail, or the alias has had enough for now.
            DirectoryUnavailable: It is not known in time.
        """
        limit_octets = check_standing(
            await self.recipients.standing(path, alias),
            client_ip=client_ip,
            reverse_path=begun.reverse_path,
            declared_octets=begun.declared_octets,
            now=datetime.now(UTC),
        )
        begun.bind(path, limit_octets)
        others = (other for named, other in begun.recipients.items() if named != path)
        waiting = sum(other.alias_id == alias.alias_id for other in others)
        self.admission.shares.check(path, alias, begun.reverse_path, waiting=waiting)

    async def open_intake(self, drafts: list[Draft], begun: Transaction) -> Intake:
        """
        Return where the content goes; `release` must follow.

        Raises:
            Refused: There is no room for it.
        """
        self.check_stocks()
        place = self._place_of(drafts)
        place.check_room()
        room = room_of(begun.declared_octets, len(drafts), content_limit_octets=self.content_limit_octets)
        await self.admission.reserve(room.reserved_octets)

        async def open_writers() -> list[ObjectWriter]:
            if not room.big_octets:  # the client said that its mail was small
                octets = room_of(None, len(drafts), content_limit_octets=room.held_octets).big_octets
                await self.admission.reserve(octets)
                intake.reserved_octets += octets
            return await place.open_writers(drafts, room.window)

        intake = Intake(
            limit_octets=min(self.settings.limits.message_octets, begun.limit_octets or NO_LIMIT_OCTETS),
            memory_octets=room.held_octets,
            open_writers=open_writers,
        )
        intake.reserved_octets = room.reserved_octets
        return intake

    async def accept(self, drafts: list[Draft], intake: Intake) -> str:
        """
        Return the reply to a mail that has come in whole; of mode through, once its endpoint has answered.

        It goes on when the session is cut off: a client that hangs up now has its mail stored or not, but
        never half. Raises: as Acceptance.accept and Through.accept.
        """
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        task = loop.create_task(self._place_of(drafts).accept(drafts, intake))
        self._accepting.add(task)
        task.add_done_callback(self._accepted)
        reply = await asyncio.shield(task)
        if drafts[0].alias.mode == "async":  # else it is the endpoint's time, and not ours
            self.row.count("accept_seconds_micro", int((loop.time() - began_at) * 1e6))
        self.row.count("accepted", len(drafts))
        mails = [(each.envelope.forward_path, each.alias) for each in drafts]
        self.admission.shares.count(mails, drafts[0].envelope.reverse_path)
        self.row.count("content_octets", intake.size_octets)
        return reply

    async def release(self, intake: Intake) -> None:
        """A mail is over, one way or the other."""
        self.admission.release(intake.reserved_octets)
        intake.reserved_octets = 0
        if not intake.is_accepted:
            await intake.abort()

    async def drain(self) -> None:
        """Close idle sessions, let mails on their way in finish; close what is left after the time limit."""
        self.is_closing = True
        for session in list(self.sessions):
            session.close_when_idle()
        await _until(lambda: not self.sessions and not self._accepting, self.settings.timers.drain_s)
        self.through.give_up()
        for session in list(self.sessions):
            session.say(replies.CLOSING.format(hostname=self.settings.hostname))
            session.end()
        if self._accepting:
            await asyncio.wait(self._accepting, timeout=self.settings.timers.publish_s)

    def _place_of(self, drafts: list[Draft]) -> Acceptance | Through:
        """Return who takes the mail: all its recipients are of one mode."""
        return self.through if drafts[0].alias.mode == "through" else self.acceptance

    def _accepted(self, task: asyncio.Task[str]) -> None:
        self._accepting.discard(task)
        if not task.cancelled() and isinstance(task.exception(), MailchuteError):
            self.row.count("mails_deferred")


async def _until(is_so: Callable[[], bool], limit_s: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + limit_s
    while not is_so() and loop.time() < end:  # noqa: ASYNC110 - two sets that many tasks change
        await asyncio.sleep(0.02)
