"""
One mail's passage while its client waits: claimed, read, POSTed once, and its outcome kept before it is told.

Nothing of it is retried here: the sender's own queue is the durable store, and each copy it sends is one try.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from mailchute import subjects, wire
from mailchute.alias import RAW_FORMATS, EndpointSnapshot
from mailchute.delivery import AttemptOutcome, AttemptRequest, WebhookDelivery
from mailchute.eventlog import event_log
from mailchute.jetstream import Publisher
from mailchute.mail import ContentRef, MailObject
from mailchute.parsed import ParseAnswer
from mailchute.through import Result

from connector import told
from connector.answer import value_of
from connector.claims import Claim, Claims, Held
from connector.content import Contents
from connector.endpoint import EndpointLoads
from connector.function import Function
from connector.journal import Journal
from connector.lanes import Lanes
from connector.mail import owed_of
from connector.reading import Reading, Unreadable

HOLD_S = 3.0  # for a function that is away: as long as a restart takes
PLACE_S = 10.0  # for a place under the endpoint's cap
LEAST_S = 1.5  # with less time left no POST is begun; deliver itself wants a second
LATE_S = 0.5  # how much later than the POST's end deliver's answer may come
FAIR_S = 5.0  # an endpoint that was given less is not judged by its silence

log = event_log("connector")


@dataclass(frozen=True, kw_only=True)
class Passage:
    """Carries mails of mode through."""

    publisher: Publisher
    claims: Claims
    contents: Contents  # a budget of their own: what waits for an endpoint holds up nobody else's
    reading: Reading
    deliver: Function
    endpoints: EndpointLoads
    lanes: Lanes
    journal: Journal

    async def carry(self, mail: MailObject, ends_at: float) -> tuple[Result, str]:
        """
        Return what the client is told, and the mail's id.

        Args:
            ends_at: By the loop's time; no POST goes on beyond it.

        Raises:
            HeldElsewhere: Another connector is to be asked.
            MailchuteError, TimeoutError: Something of ours is away.
        """
        endpoint = next(iter(mail.alias.endpoints), None)
        if endpoint is None or self.journal.is_failing:
            return "away", mail.id
        async with asyncio.timeout_at(ends_at):
            held = await self.claims.take(mail)
        resend_id, mail = mail.id, msgspec.structs.replace(mail, id=held.claim.mail_id)
        if held.claim.state != "open":
            return await self._repeated(mail, resend_id, held.claim), mail.id
        if len(mail.alias.endpoints) == 1 and self.endpoints.of(endpoint.id).is_open:
            return "silent", mail.id
        try:
            result = await self._pass(mail, held, ends_at)
        except Unreadable as error:
            log.warning("through-unreadable", mail_id=mail.id, stage=error.stage, reason=str(error))
            result = "unreadable"
        return result, mail.id

    async def _pass(self, mail: MailObject, held: Held, ends_at: float) -> Result:
        async with AsyncExitStack() as stack:
            async with asyncio.timeout_at(ends_at):
                content = await stack.enter_async_context(self.contents.resolved(mail.content))
                whole = msgspec.structs.replace(mail, content=content)
                parsed = await self.reading.read(whole, wire.encode(whole))
            if parsed.decision == "reject":
                await self.journal.note_at_once(told.blocked(mail, parsed)).wait()
                return "blocked"
            [owed] = owed_of(mail, parsed, told.NOWHERE, "0", _answering(mail, parsed).id)
            request = AttemptRequest(
                delivery=msgspec.structs.replace(owed, payload=b""),
                payload=parsed.payload,
                raw=content if owed.needs_raw or owed.format in RAW_FORMATS else None,
                raw_trace_octets=mail.trace_octets,
            )
            del content, whole
            if request.raw is None:
                await stack.aclose()  # nothing of it is held while the endpoint thinks
            outcome = await self._attempt(request, ends_at)
        if isinstance(outcome, str):
            return outcome
        if outcome.result == "delivered":
            return await self._passed(mail, parsed, request.delivery, outcome, held)
        return await self._failed(mail, parsed, request.delivery, outcome, held, ends_at)

    async def _attempt(self, request: AttemptRequest, ends_at: float) -> AttemptOutcome | Result:
        """Return what the endpoint did; where none was asked, why not."""
        loop = asyncio.get_running_loop()
        load = self.endpoints.of(request.delivery.endpoint_id)
        wait_s = min(PLACE_S, ends_at - loop.time() - LEAST_S)
        is_probed = load.is_probing and load.in_flight_count  # and nobody waits for what that finds
        if is_probed or not await load.enter(wait_s):
            return "silent" if load.is_probing else "busy"
        try:
            if not await load.pace.take(wait_s):
                return "busy"
            left_s = ends_at - loop.time()
            if left_s < LEAST_S:
                return "away"
            deadline_at = datetime.now(UTC) + timedelta(seconds=left_s)
            body = wire.encode(msgspec.structs.replace(request, deadline_at=deadline_at))
            async with asyncio.timeout_at(ends_at + LATE_S):
                answer = await self.deliver.call(body, hold_s=HOLD_S)
            outcome = value_of(answer, AttemptOutcome, stage="deliver")
            if outcome.is_unsent:
                return "disabled" if outcome.result == "refused" else "away"
            load.pace.rate_per_s = outcome.rate_per_s
            return outcome
        finally:
            load.leave()

    async def _passed(
        self,
        mail: MailObject,
        parsed: ParseAnswer,
        owed: WebhookDelivery,
        outcome: AttemptOutcome,
        held: Held,
    ) -> Result:
        """Keep that there was a 2xx before anyone hears of it; nothing but the process's end stops this."""
        is_kept = parsed.endpoint_id is None and len(mail.alias.endpoints) > 1
        answered = msgspec.structs.replace(
            held.claim,
            attempt_count=held.claim.attempt_count + 1,
            state="answered",
            endpoint_id=owed.endpoint_id,
            is_kept=is_kept,
        )
        events = told.passed(mail, parsed, owed, outcome, answered.attempt_count, is_kept=is_kept)
        is_told = self.journal.note_at_once(*events)
        await self.claims.keep(mail.fingerprint, answered)
        if self.endpoints.of(owed.endpoint_id).succeeded():
            await self.lanes.resume(owed.endpoint_id)
        if is_kept:
            await self._owe_others(mail, answered)
        await is_told.wait()
        return "delivered"

    async def _failed(
        self,
        mail: MailObject,
        parsed: ParseAnswer,
        owed: WebhookDelivery,
        outcome: AttemptOutcome,
        held: Held,
        ends_at: float,
    ) -> Result:
        result = result_of(outcome)
        load = self.endpoints.of(owed.endpoint_id)
        is_cut_short = outcome.duration_s < FAIR_S and asyncio.get_running_loop().time() > ends_at - LATE_S
        is_answer = result in ("declined", "gone")  # like any: it works
        if is_answer:
            if load.succeeded():
                await self.lanes.resume(owed.endpoint_id)
        elif not is_cut_short and load.failed():
            await self.lanes.pause(owed.endpoint_id, load.open_for_s)
        number = held.claim.attempt_count + 1
        is_told = self.journal.note_at_once(
            *told.tried(mail, parsed, owed, outcome, number, is_rejected=is_answer)
        )
        await self.claims.tried(mail.fingerprint, held)
        await is_told.wait()
        return result

    async def _repeated(self, mail: MailObject, resend_id: str, claim: Claim) -> Result:
        """Do what a connector that was killed after the 2xx may have left undone; POST nothing."""
        if claim.is_kept and claim.state == "answered":
            await self._owe_others(mail, claim)
        events = told.repeated(mail, resend_id, claim.endpoint_id, is_kept=claim.is_kept)
        await self.journal.note_at_once(*events).wait()
        return "repeated"

    async def _owe_others(self, mail: MailObject, claim: Claim) -> None:
        """
        Put the mail on MAIL for the alias's other endpoints: like any mail, it is theirs from there on.

        Once: told in the claim, and within MAIL's duplicate window even when killed before that.
        """
        content: bytes | ContentRef = mail.content
        if isinstance(content, ContentRef):
            async with self.contents.resolved(content) as octets:
                content = await self.contents.fitted(octets, name=mail.id)
        kept = msgspec.structs.replace(mail, content=content, answered_by=claim.endpoint_id)
        await self.publisher.publish(
            subjects.MAIL_ACCEPTED, wire.encode(kept), stream=subjects.MAIL, message_id=mail.fingerprint
        )
        await self.claims.keep(mail.fingerprint, msgspec.structs.replace(claim, state="over"))


def result_of(outcome: AttemptOutcome) -> Result:
    """Return what the outcome of an attempt means for the client that waits."""
    match outcome.result:
        case "delivered":
            return "delivered"
        case "gone":
            return "gone"
    if outcome.status == 422:
        return "declined"
    return "silent" if outcome.status is None else "failed"


def _answering(mail: MailObject, parsed: ParseAnswer) -> EndpointSnapshot:
    """Return the endpoint that answers: the one a rule chose, else the alias's first."""
    endpoints = mail.alias.endpoints
    return next((each for each in endpoints if each.id == parsed.endpoint_id), endpoints[0])
