"""
Mode through: an SMTP edge asks and its client waits; here one question after another is heard and answered.

Bounded in every way, on slots of its own: whatever an endpoint does, mail of mode async does not feel it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field

from mailchute import subjects, wire
from mailchute.errors import MailchuteError, TransientError, Undecodable
from mailchute.eventlog import event_log
from mailchute.mail import MailObject
from mailchute.through import PROGRESS, PROGRESS_EVERY_S, Result, ThroughAnswer, ThroughRequest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from connector.claims import HeldElsewhere
from connector.passage import Passage

ALIAS_SLOTS = 32  # one whose endpoint hangs leaves the others room
IN_HAND_OCTETS = 64 * 1024 * 1024
TELL_S = 2.0  # of the time that is left: for keeping and telling the outcome

log = event_log("connector")


@dataclass(slots=True)
class _Job:
    """A mail in hand; several copies of it may wait for the same answer."""

    mail: MailObject
    ends_at: float  # by the loop's time
    octets: int
    inboxes: list[str]
    task: asyncio.Task[None] = field(init=False)


class Through:
    """
    Hears and answers.

    Args:
        slots: Mails at once; one more is told that it is one too many.
    """

    def __init__(self, client: Client, passage: Passage, *, slots: int) -> None:
        self.answer_counts: Counter[Result] = Counter()
        self._client = client
        self._passage = passage
        self._slots = slots
        self._jobs: dict[str, _Job] = {}  # by fingerprint
        self._octets = 0
        self._of_alias: Counter[str] = Counter()
        self._is_stopping = False
        self._beating: asyncio.Task[None] | None = None

    @property
    def in_hand_count(self) -> int:
        return len(self._jobs)

    async def run(self) -> None:
        """Listen until cancelled."""
        self._beating = asyncio.ensure_future(self._beat())
        own = subjects.through_subject_of(self._passage.claims.owner)
        subscriptions = [
            await self._client.subscribe(own, cb=self._asked),
            await self._client.subscribe(subjects.THROUGH_MAIL, queue=subjects.THROUGH_QUEUE, cb=self._asked),
        ]
        try:
            await asyncio.Event().wait()
        finally:
            self._is_stopping = True
            for subscription in subscriptions:
                with contextlib.suppress(NatsError, OSError):
                    await subscription.unsubscribe()

    async def finish(self, timeout_s: float) -> None:
        """Wait for what is in hand; whoever still waits then is told to come again."""
        tasks = [job.task for job in self._jobs.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._beating is not None:
            self._beating.cancel()

    async def _asked(self, message: Msg) -> None:
        if not message.data:  # another connector asks whether this one lives
            await self._say(message.reply, PROGRESS)
            return
        try:
            request = wire.decode(message.data, ThroughRequest)
        except (Undecodable, TransientError) as error:
            log.error("through-not-understood", reason=str(error))
            await self._say(message.reply, wire.encode(ThroughAnswer(result="away", mail_id="")))
            return
        mail = request.mail
        if (job := self._jobs.get(mail.fingerprint)) is not None:
            job.inboxes.append(message.reply)  # a resend while the first copy is still under way
        elif self._is_stopping or not self._has_room(mail, len(message.data)):
            await self._answer([message.reply], "busy", mail.id)
        else:
            self._begin(mail, request.left_s, message)

    def _has_room(self, mail: MailObject, octets: int) -> bool:
        return (
            len(self._jobs) < self._slots
            and self._of_alias[mail.alias.alias_id] < ALIAS_SLOTS
            and self._octets + octets <= IN_HAND_OCTETS
        )

    def _begin(self, mail: MailObject, left_s: float, message: Msg) -> None:
        ends_at = asyncio.get_running_loop().time() + left_s - TELL_S
        job = _Job(mail, ends_at, len(message.data), [message.reply])
        self._jobs[mail.fingerprint] = job
        self._octets += job.octets
        self._of_alias[mail.alias.alias_id] += 1
        job.task = asyncio.ensure_future(self._work(job))

    async def _work(self, job: _Job) -> None:
        result: Result = "away"
        mail_id = job.mail.id
        try:
            result, mail_id = await self._passage.carry(job.mail, job.ends_at)
        except HeldElsewhere as held:
            await self._hand_over(job, held.owner)
            job.inboxes.clear()
        except (MailchuteError, TimeoutError) as error:
            log.warning("through-waits", mail_id=mail_id, reason=f"{type(error).__name__}: {error}")
        except (NatsError, OSError) as error:
            log.warning("through-waits", mail_id=mail_id, reason=type(error).__name__)
        except Exception as error:  # noqa: BLE001 - the outermost shell: unknown means again
            log.error("work-failed", error=error, stage="through")
        finally:
            del self._jobs[job.mail.fingerprint]
            self._octets -= job.octets
            self._of_alias[job.mail.alias.alias_id] -= 1
            self._of_alias += Counter()  # forget who has none
            await self._answer(job.inboxes, result, mail_id)

    async def _hand_over(self, job: _Job, owner: str) -> None:
        left_s = job.ends_at + TELL_S - asyncio.get_running_loop().time()
        body = wire.encode(ThroughRequest(mail=job.mail, left_s=left_s))
        for inbox in job.inboxes:
            await self._client.publish(subjects.through_subject_of(owner), body, reply=inbox)

    async def _answer(self, inboxes: list[str], result: Result, mail_id: str) -> None:
        body = wire.encode(ThroughAnswer(result=result, mail_id=mail_id))
        for inbox in inboxes:
            self.answer_counts[result] += 1
            await self._say(inbox, body)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S)
            for job in list(self._jobs.values()):
                for inbox in job.inboxes:
                    await self._say(inbox, PROGRESS)

    async def _say(self, inbox: str, body: bytes) -> None:
        with contextlib.suppress(NatsError, OSError):  # then nobody hears, and the client comes again
            await self._client.publish(inbox, body)
