"""Retries: one endpoint's lane, by the schedule, until delivered or dead."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from mailchute import subjects, wire
from mailchute.delivery import AttemptOutcome, WebhookDelivery
from mailchute.errors import NewerVersion, PermanentError, StreamFull, TransientError, Undecodable
from mailchute.eventlog import event_log

from connector.answer import NotNow
from connector.attempt import Attempts, attempted, due_in_s
from connector.burial import Burial
from connector.delivery import Delivery
from connector.endpoint import EndpointLoads
from connector.function import FunctionAway
from connector.journal import Journal
from connector.lanes import Lanes

SLOTS = 128  # of deliver's 512 calls, over all lanes
NAK_SOON_S = 1.0
NAK_UPGRADE_S = 30.0
FIRST_FAILED = ".tried"  # put back on the lane with its first attempt noted

log = event_log("connector")


class RetryStage:
    """Works on retry.<endpoint_id>."""

    def __init__(
        self,
        *,
        attempts: Attempts,
        endpoints: EndpointLoads,
        lanes: Lanes,
        journal: Journal,
        burial: Burial,
        gaps_s: tuple[float, ...],
    ) -> None:
        self._attempts = attempts
        self._endpoints = endpoints
        self._lanes = lanes
        self._journal = journal
        self._burial = burial
        self._gaps_s = gaps_s
        self._slots = asyncio.Semaphore(SLOTS)

    async def work(self, delivery: Delivery) -> None:
        """Make an attempt if one is due, and settle what comes of it."""
        try:
            owed = wire.decode(delivery.body, WebhookDelivery)
        except NewerVersion:
            await delivery.nak(NAK_UPGRADE_S)
            return
        except Undecodable as error:
            await self._burial.of_unreadable(
                delivery.body,
                stage="deliver",
                stream=subjects.RETRY,
                sequence=delivery.sequence,
                reason=str(error),
            )
            await delivery.ack()
            return
        try:
            wait_s = self._wait_s(owed)
            if wait_s > 0:
                await delivery.nak(wait_s)
                return
            await self._carry(owed, delivery)
        except (FunctionAway, NotNow) as error:
            log.warning("delivery-waits", delivery_id=owed.id, stage="deliver", reason=str(error))
            await delivery.nak(NAK_SOON_S)
        except TransientError as error:
            log.warning("delivery-waits", delivery_id=owed.id, reason=str(error))
            await delivery.nak(NAK_SOON_S)
        except PermanentError as error:
            await self._bury(owed, delivery, f"refused: {error}")

    def _wait_s(self, owed: WebhookDelivery) -> float:
        """Return how long this is to wait: for the attempt after the one it came here for, or the breaker."""
        now = datetime.now(UTC)
        due_s = 0.0
        if owed.last_outcome is not None:
            due_s = due_in_s(owed, owed.last_outcome, now, self._gaps_s) or 0.0
        return max(due_s, self._endpoints.of(owed.endpoint_id).open_for_s)

    async def _carry(self, owed: WebhookDelivery, delivery: Delivery) -> None:
        load = self._endpoints.of(owed.endpoint_id)
        async with self._slots:
            await load.enter(None)
            try:
                with load.timing():
                    outcome = await self._attempts.make(owed)
            finally:
                load.leave()
        events = attempted(owed, outcome, self._gaps_s)
        if outcome.result == "delivered":
            load.succeeded()
            await self._journal.tell(*events)
            await delivery.ack()
        elif outcome.result == "failed":
            if load.failed():
                await self._lanes.pause(owed.endpoint_id, load.open_for_s)
            await self._again(owed, delivery, outcome)
        else:
            reason = "endpoint-gone" if outcome.result == "gone" else f"refused: {outcome.reason}"
            await self._burial.of_delivery(
                owed, delivery.body, reason=reason, subject=delivery.subject, events=events
            )
            await delivery.ack()

    async def _again(self, owed: WebhookDelivery, delivery: Delivery, outcome: AttemptOutcome) -> None:
        events = attempted(owed, outcome, self._gaps_s)
        due_s = due_in_s(owed, outcome, datetime.now(UTC), self._gaps_s)
        if due_s is None:
            await self._burial.of_delivery(
                owed, delivery.body, reason="exhausted", subject=delivery.subject, events=events
            )
            await delivery.ack()
            return
        await self._journal.tell(*events)
        if owed.first_attempt_at is None:
            # It came here untried, and a message cannot be changed: its schedule begins with a new one.
            try:
                await self._lanes.divert(owed, outcome, again=FIRST_FAILED)
                await delivery.ack()
                return
            except StreamFull:
                pass
        await delivery.nak(due_s)

    async def _bury(self, owed: WebhookDelivery, delivery: Delivery, reason: str) -> None:
        await self._burial.of_delivery(owed, delivery.body, reason=reason, subject=delivery.subject)
        await delivery.ack()
