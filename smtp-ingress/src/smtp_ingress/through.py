"""Mode through: the client waits while a connector has its mail POSTed, and hears what the endpoint said."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from mailchute import wire
from mailchute.errors import TransientError
from mailchute.eventlog import EventLog
from mailchute.mail import ContentRef, MailObject
from mailchute.subjects import THROUGH_MAIL
from mailchute.through import PROGRESS, Result, ThroughAnswer, ThroughRequest
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from smtp_ingress.acceptance import Draft, finished
from smtp_ingress.admission import Admission
from smtp_ingress.board import Row
from smtp_ingress.intake import Intake, ObjectWriter
from smtp_ingress.replies import CLOSING_NOW, NOT_NOW, TOO_MANY_WAIT, Refused

SILENCE_S = 5.0  # without a sign of progress nobody works for the mail any more

REPLIES: dict[Result, str] = {
    "delivered": "250 2.0.0 accepted",
    "repeated": "250 2.0.0 already have",
    "blocked": "550 5.7.1 refused by a rule of the recipient",
    "declined": "550 5.7.1 refused by the recipient",
    "gone": "550 5.2.1 this address takes no mail any more",
    "unreadable": "554 5.6.0 nobody here can read this mail",
    "failed": "451 4.2.0 the recipient could not take it, try again later",
    "silent": "451 4.4.1 the recipient does not answer, try again later",
    "disabled": "451 4.2.1 the recipient takes no mail now, try again later",
    "busy": TOO_MANY_WAIT,
    "away": NOT_NOW,
}


class Unheard(TransientError):
    """No connector works for the mail."""


class Client(Protocol):
    """nats' client, as far as it is used here."""

    def new_inbox(self) -> str: ...
    async def subscribe(self, subject: str, *, cb: Callable[[Msg], Awaitable[None]]) -> Any: ...
    async def publish(self, subject: str, payload: bytes, reply: str) -> None: ...


@dataclass(slots=True)
class _Wait:
    heard_at: float  # by the loop's time
    answer: asyncio.Future[bytes] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Through:
    """
    Asks a connector, for one mail at a time and client.

    Args:
        new_writer: Starts an object of this name in the bucket whose content goes with the answer.
        delete: Removes such an object.
        limit: Of clients that wait at once, over all processes of this host.
        timeout_s: After so long the client hears 451, whatever becomes of its mail.
    """

    def __init__(
        self,
        client: Client,
        new_writer: Callable[[str, int], ObjectWriter],
        delete: Callable[[ContentRef], Awaitable[None]],
        *,
        admission: Admission,
        row: Row,
        limit: int,
        timeout_s: float,
        log: EventLog,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._client = client
        self._new_writer = new_writer
        self._delete = delete
        self._admission = admission
        self._row = row
        self._limit = limit
        self._timeout_s = timeout_s
        self._log = log
        self._silence_s = silence_s
        self._inbox = client.new_inbox()
        self._listening = asyncio.Lock()
        self._is_listening = False
        self._count = 0
        self._waiting: dict[str, _Wait] = {}
        self._deletions: set[asyncio.Task[None]] = set()

    def check_room(self) -> None:
        """Raise Refused while as many clients wait as may."""
        if self._row.held("through") >= self._limit:
            self._row.count("mails_deferred")
            raise Refused(TOO_MANY_WAIT)

    async def open_writers(self, drafts: list[Draft], window: int) -> list[ObjectWriter]:
        """Return the object for the mail, with its trace fields written."""
        writers = [self._new_writer(each.id, window) for each in drafts]
        for writer, each in zip(writers, drafts, strict=True):
            await writer.write(each.trace)
        return writers

    async def accept(self, drafts: list[Draft], intake: Intake) -> str:
        """
        Return the reply 250, once the endpoint has answered 2xx.

        Raises:
            Refused: It did not, and what the client is told instead.
            TransientError: It is not known whether it did: the client comes again.
        """
        self.check_room()
        self._row.hold("through", 1)
        try:
            [mail] = await finished(drafts, intake)
            intake.is_accepted = True  # the object, where there is one, is ours to delete
            try:
                answer = await self._asked(mail, intake)
            finally:
                if isinstance(mail.content, ContentRef):
                    self._forget(mail.content)
        finally:
            self._row.hold("through", -1)
        reply = REPLIES[answer.result]
        if answer.result in ("delivered", "repeated"):
            return f"{reply} {answer.mail_id}"
        self._row.count("mails_deferred" if reply.startswith("4") else "mails_refused")
        self._log.info("not-through", mail_id=answer.mail_id, reason=answer.result)
        raise Refused(reply)

    def give_up(self) -> None:
        """Whoever waits now hears that this server is closing."""
        for wait in self._waiting.values():
            if not wait.answer.done():
                wait.answer.set_exception(Refused(CLOSING_NOW))

    async def _asked(self, mail: MailObject, intake: Intake) -> ThroughAnswer:
        loop = asyncio.get_running_loop()
        await self._listen()
        self._count += 1
        token, wait = str(self._count), _Wait(loop.time())
        self._waiting[token] = wait
        ends_at = loop.time() + self._timeout_s
        try:
            request = wire.encode(ThroughRequest(mail=mail, left_s=self._timeout_s))
            await self._client.publish(THROUGH_MAIL, request, reply=f"{self._inbox}.{token}")
            # It is the connector's now; a client that waits holds no memory that others need.
            del request, mail
            intake.pieces.clear()
            self._admission.release(intake.reserved_octets)
            intake.reserved_octets = 0
            while not wait.answer.done():
                silent_at = min(wait.heard_at + self._silence_s, ends_at)
                if loop.time() >= silent_at:
                    raise Unheard("no answer in time" if silent_at == ends_at else "nobody works for it")
                await asyncio.wait([wait.answer], timeout=silent_at - loop.time())
            return wire.decode(wait.answer.result(), ThroughAnswer)
        except (NatsError, OSError) as error:
            raise Unheard(f"not sent: {type(error).__name__}") from error
        finally:
            del self._waiting[token]

    async def _listen(self) -> None:
        async with self._listening:
            if not self._is_listening:
                try:
                    await self._client.subscribe(f"{self._inbox}.*", cb=self._heard)
                except (NatsError, OSError) as error:
                    raise Unheard(f"not connected: {type(error).__name__}") from error
                self._is_listening = True

    async def _heard(self, message: Msg) -> None:
        wait = self._waiting.get(message.subject.rpartition(".")[2])
        if wait is None or wait.answer.done():
            return
        wait.heard_at = asyncio.get_running_loop().time()
        if not message.data and (message.headers or {}).get("Status") == "503":
            wait.answer.set_exception(Unheard("no connector is there"))
        elif message.data != PROGRESS:
            wait.answer.set_result(message.data)

    def _forget(self, ref: ContentRef) -> None:
        """Delete the object while the client hears its reply; what is left goes by its age."""

        async def work() -> None:
            with contextlib.suppress(TransientError):
                await self._delete(ref)

        task = asyncio.ensure_future(work())
        self._deletions.add(task)
        task.add_done_callback(self._deletions.discard)
