"""What all sessions of one process share: who is here, how much is in flight, and where mail goes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol

from mailchute.eventlog import EventLog
from mailchute.subjects import REF_LIMIT_OCTETS

from smtp_ingress import replies
from smtp_ingress.acceptance import Acceptance, Draft
from smtp_ingress.intake import Intake
from smtp_ingress.recipients import Recipients
from smtp_ingress.replies import Refused
from smtp_ingress.settings import Settings

STRESS_SHARE = 0.8  # of all connections: from here on clients that do nothing are cut off soon


class Stream(Protocol):
    """What the last look at MAIL found."""

    is_full: bool


class Guest(Protocol):
    """A session, as far as the server that is closing deals with it."""

    def close_when_idle(self) -> None: ...
    def end(self) -> None: ...


class Edge:
    """
    The state that one process's sessions work on.

    Args:
        content_limit_octets: What a stream message may carry; bigger content becomes an object.
    """

    def __init__(
        self,
        settings: Settings,
        recipients: Recipients,
        acceptance: Acceptance,
        stream: Stream,
        *,
        log: EventLog,
        tls_context: ssl.SSLContext | None = None,
        content_limit_octets: int = REF_LIMIT_OCTETS,
    ) -> None:
        self.settings = settings
        self.recipients = recipients
        self.log = log
        self.tls_context = tls_context
        self.sessions: set[Guest] = set()
        self.is_closing = False
        self._acceptance = acceptance
        self._stream = stream
        self._content_limit_octets = content_limit_octets
        self._accepting: set[asyncio.Task[str]] = set()

    def command_s(self) -> float:
        """Return how long a client may take for its next command; less when there are many."""
        timers = self.settings.timers
        is_stressed = len(self.sessions) > STRESS_SHARE * self.settings.limits.connections
        return timers.stressed_command_s if is_stressed else timers.command_s

    def check_room(self) -> None:
        """Raise Refused while there is no room for one more mail."""
        if self._stream.is_full:
            raise Refused(replies.FULL)

    def new_intake(self, drafts: list[Draft]) -> Intake:
        return Intake(
            limit_octets=self.settings.limits.message_octets,
            memory_octets=self._content_limit_octets,
            open_writers=lambda: self._acceptance.open_writers(drafts),
        )

    async def accept(self, drafts: list[Draft], intake: Intake) -> str:
        """
        Return the reply to a mail that has come in whole.

        It goes on when the session is cut off: a client that hangs up now has its mail stored or not, but
        never half. Raises: as Acceptance.accept.
        """
        task = asyncio.get_running_loop().create_task(self._acceptance.accept(drafts, intake))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)
        return await asyncio.shield(task)

    async def release(self, intake: Intake) -> None:
        """A mail is over, one way or the other."""
        if not intake.is_accepted:
            await intake.abort()

    async def drain(self) -> None:
        """Close idle sessions, let mails on their way in finish; close what is left after the time limit."""
        self.is_closing = True
        for session in list(self.sessions):
            session.close_when_idle()
        await _until(lambda: not self.sessions and not self._accepting, self.settings.timers.drain_s)
        for session in list(self.sessions):
            session.end()
        if self._accepting:
            await asyncio.wait(self._accepting, timeout=self.settings.timers.publish_s)


async def _until(is_so: Callable[[], bool], limit_s: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + limit_s
    while not is_so() and loop.time() < end:  # noqa: ASYNC110 - two sets that many tasks change
        await asyncio.sleep(0.02)
