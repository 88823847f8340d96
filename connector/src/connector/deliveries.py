"""Deliveries: the first attempt of each rides with everyone's, the next ones on the endpoint's retry lane."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import msgspec
from mailchute import wire
from mailchute.delivery import AttemptOutcome, WebhookDelivery
from mailchute.errors import NewerVersion, PermanentError, StreamFull, TransientError, Undecodable
from mailchute.eventlog import event_log

from connector.attempt import Attempts, due_in_s, is_last_at
from connector.burial import Burial
from connector.content import Contents
from connector.delivery import Delivery, InHand
from connector.endpoint import WAIT_S, EndpointLoads
from connector.erased import Erased
from connector.journal import Journal
from connector.lanes import Lanes
from connector.told import attempted

DELIVER_CALLS = 512  # what deliver serves at once
LANE_SLOTS = DELIVER_CALLS // 4  # the retry lanes' own quarter
FRESH_SLOTS = DELIVER_CALLS - LANE_SLOTS
SLOW_MAX = DELIVER_CALLS // 2  # attempts older than a second
NAK_SOON_S = 1.0
NAK_UPGRADE_S = 30.0
FIRST_FAILED = ".tried"  # put back on the lane, its first attempt noted: another message id

log = event_log("connector")

Carry = Callable[[WebhookDelivery, Delivery], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Deliveries:
    """Works on delivery.fresh and on the lanes."""

    attempts: Attempts
    contents: Contents
    endpoints: EndpointLoads
    lanes: Lanes
    journal: Journal
    burial: Burial
    erased: Erased
    gaps_s: tuple[float, ...]
    lane_slots: asyncio.Semaphore

    async def work_fresh(self, delivery: Delivery) -> None:
        """Make the first attempt, or divert to the lane; acknowledge once that is safe."""
        await self._work(delivery, self._carry_fresh)

    async def work_retry(self, delivery: Delivery) -> None:
        """Make an attempt if one is due, and settle what comes of it."""
        await self._work(delivery, self._carry_retry)

    async def attempt_at_once(self, owed: WebhookDelivery) -> None:
        """
        Make the first attempt of what is on no stream yet; return once it is settled, or on its lane.

        Raises:
            TransientError, PermanentError: It is not sure to be on any stream.
        """
        if owed.mail_id in self.erased:
            return
        in_hand = InHand(owed)
        try:
            await self._carry_fresh(owed, in_hand)
        except TransientError as error:
            # Whether it was POSTed is not known, as of what is handed out a second time.
            log.warning("delivery-waits", delivery_id=owed.id, stage="deliver", reason=str(error))
            await self._divert(owed, in_hand)
        except PermanentError as error:
            await self._bury(owed, in_hand, f"refused: {error}")

    async def _work(self, delivery: Delivery, carry: Carry) -> None:
        try:
            owed = wire.decode(delivery.body, WebhookDelivery)
        except NewerVersion:
            await delivery.nak(NAK_UPGRADE_S)
            return
        except Undecodable as error:
            await self.burial.of_unreadable(delivery, stage="deliver", reason=str(error))
            await delivery.ack()
            return
        if owed.mail_id in self.erased:
            await self._end(owed, delivery)
            return
        try:
            await carry(owed, delivery)
        except TransientError as error:
            log.warning("delivery-waits", delivery_id=owed.id, stage="deliver", reason=str(error))
            await delivery.nak(NAK_SOON_S)
        except PermanentError as error:
            await self._bury(owed, delivery, f"refused: {error}")

    async def _carry_fresh(self, owed: WebhookDelivery, delivery: Delivery | InHand) -> None:
        load = self.endpoints.of(owed.endpoint_id)
        if (
            # Handed out before: whether it was POSTed is not known, and it holds up nobody twice.
            delivery.num_delivered > 1
            or load.is_open
            or load.is_probing
            or (load.slow_count and self.endpoints.slow_count >= SLOW_MAX)
            or not await load.enter(WAIT_S)
        ):
            await self._divert(owed, delivery)
            return
        outcome = None
        try:
            if await load.pace.take(WAIT_S):
                with load.timing():
                    outcome = await self.attempts.make(owed)
        finally:
            load.leave()
        if outcome is None:
            await self._divert(owed, delivery)
            return
        owed = msgspec.structs.replace(owed, first_attempt_at=outcome.started_at)
        await self._settle(owed, delivery, outcome, partial(self._divert, owed, delivery))

    async def _carry_retry(self, owed: WebhookDelivery, delivery: Delivery) -> None:
        due_s = self._due_s(owed)
        if due_s > 0:
            await delivery.nak(due_s)
            return
        load = self.endpoints.of(owed.endpoint_id)
        # What is past its last attempt does not wait for a breaker, or the lane would never end.
        is_last = is_last_at(owed, datetime.now(UTC), self.gaps_s)
        if not await load.enter(None, despite_breaker=is_last):
            await delivery.nak(load.open_for_s)
            return
        try:
            await load.pace.take()
            async with self.lane_slots:
                with load.timing():
                    outcome = await self.attempts.make(owed)
        finally:
            load.leave()
        await self._settle(owed, delivery, outcome, partial(self._stay_on_lane, owed, delivery))

    def _due_s(self, owed: WebhookDelivery) -> float:
        """Return how long it is until the attempt after the one that it came here for."""
        failed = owed.last_outcome
        if failed is None or failed.started_at < self.endpoints.of(owed.endpoint_id).forgiven_at:
            return 0.0
        return due_in_s(owed, failed, datetime.now(UTC), self.gaps_s) or 0.0

    async def _settle(
        self,
        owed: WebhookDelivery,
        delivery: Delivery | InHand,
        outcome: AttemptOutcome,
        again: Callable[[AttemptOutcome], Awaitable[None]],
    ) -> None:
        events = attempted(owed, outcome, self.gaps_s)
        load = self.endpoints.of(owed.endpoint_id)
        if not outcome.is_unsent:
            load.pace.rate_per_s = outcome.rate_per_s
        if outcome.result == "delivered":
            if load.succeeded():
                await self.lanes.resume(owed.endpoint_id)
            await self.journal.tell(*events)
            await self._end(owed, delivery)
        elif outcome.result != "failed":
            reason = "endpoint-gone" if outcome.result == "gone" else f"refused: {outcome.reason}"
            await self._bury(owed, delivery, reason, outcome)
        elif is_last_at(owed, outcome.started_at, self.gaps_s):
            # Not held against the endpoint: the next one past its last attempt is to go at once.
            await self._bury(owed, delivery, "exhausted", outcome)
        else:
            # What was never sent, for the fault is ours or it is not verified, is not held against it either.
            if not outcome.is_unsent and load.failed():
                await self.lanes.pause(owed.endpoint_id, load.open_for_s)
            await self.journal.tell(*events)
            await again(outcome)

    async def _stay_on_lane(self, owed: WebhookDelivery, delivery: Delivery, outcome: AttemptOutcome) -> None:
        if owed.first_attempt_at is None:
            # It came here untried, and a message cannot be changed: its schedule begins with a new one.
            with contextlib.suppress(StreamFull):
                await self.lanes.divert(owed, outcome, again=FIRST_FAILED)
                await delivery.ack()
                return
        due_s = due_in_s(owed, outcome, datetime.now(UTC), self.gaps_s)
        await delivery.nak(due_s or NAK_SOON_S)

    async def _divert(
        self, owed: WebhookDelivery, delivery: Delivery | InHand, outcome: AttemptOutcome | None = None
    ) -> None:
        owed = await self.contents.light(owed)
        try:
            await self.lanes.divert(owed, outcome)
        except StreamFull:
            # What a lane has no room for is not to fill DEAD instead: its mail holds all of it.
            bare = InHand(msgspec.structs.replace(owed, payload=b""))
            await self.burial.of_delivery(owed, bare, reason="backlog-full")
            await self._end(owed, delivery)
        else:
            await delivery.ack()

    async def _bury(
        self,
        owed: WebhookDelivery,
        delivery: Delivery | InHand,
        reason: str,
        outcome: AttemptOutcome | None = None,
    ) -> None:
        events = () if outcome is None else attempted(owed, outcome, self.gaps_s)
        if isinstance(delivery, InHand):  # it is replayed from there as a record like any other
            delivery = InHand(await self.contents.light(owed))
        await self.burial.of_delivery(owed, delivery, reason=reason, events=events)
        await delivery.ack()

    async def _end(self, owed: WebhookDelivery, delivery: Delivery | InHand) -> None:
        """Nothing more is to come of it: acknowledge, and give back what it referred to."""
        await delivery.ack()
        await self.contents.discard(owed.payload)
