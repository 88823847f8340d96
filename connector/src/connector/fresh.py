"""First attempts, everyone's: POSTed at once, or diverted to the endpoint's retry lane."""

from __future__ import annotations

from mailchute import subjects, wire
from mailchute.delivery import AttemptOutcome, WebhookDelivery
from mailchute.errors import NewerVersion, PermanentError, StreamFull, TransientError, Undecodable
from mailchute.eventlog import event_log

from connector.answer import NotNow
from connector.attempt import Attempts, attempted, is_exhausted
from connector.burial import Burial
from connector.delivery import Delivery
from connector.endpoint import WAIT_S, EndpointLoads
from connector.function import FunctionAway
from connector.journal import Journal
from connector.lanes import Lanes

SLOTS = 384  # of deliver's 512 calls; the other quarter is the retry lanes'
SLOW_MAX = 256  # attempts older than a second hold at most half of deliver's calls
NAK_SOON_S = 1.0
NAK_UPGRADE_S = 30.0

log = event_log("connector")


class FreshStage:
    """Works on delivery.fresh."""

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

    async def work(self, delivery: Delivery) -> None:
        """Make the first attempt, or hand it to the lane; acknowledge it once that is safe."""
        try:
            owed = wire.decode(delivery.body, WebhookDelivery)
        except NewerVersion:
            await delivery.nak(NAK_UPGRADE_S)
            return
        except Undecodable as error:
            await self._burial.of_unreadable(
                delivery.body,
                stage="deliver",
                stream=subjects.DELIVERY,
                sequence=delivery.sequence,
                reason=str(error),
            )
            await delivery.ack()
            return
        try:
            await self._carry(owed, delivery)
            await delivery.ack()
        except (FunctionAway, NotNow) as error:
            log.warning("delivery-waits", delivery_id=owed.id, stage="deliver", reason=str(error))
            await delivery.nak(NAK_SOON_S)
        except TransientError as error:
            log.warning("delivery-waits", delivery_id=owed.id, reason=str(error))
            await delivery.nak(NAK_SOON_S)
        except PermanentError as error:
            await self._burial.of_delivery(
                owed, delivery.body, reason=f"refused: {error}", subject=delivery.subject
            )
            await delivery.ack()

    async def _carry(self, owed: WebhookDelivery, delivery: Delivery) -> None:
        load = self._endpoints.of(owed.endpoint_id)
        # Handed out before: whether it was POSTed is not known, so it does not hold up the others again.
        if delivery.num_delivered > 1 or load.is_open or load.is_probing:
            await self._divert(owed, delivery)
            return
        if load.slow_count and self._endpoints.slow_count >= SLOW_MAX:
            await self._divert(owed, delivery)
            return
        if not await load.enter(WAIT_S):
            await self._divert(owed, delivery)
            return
        try:
            with load.timing():
                outcome = await self._attempts.make(owed)
        finally:
            load.leave()
        await self._settle(owed, delivery, outcome)

    async def _settle(self, owed: WebhookDelivery, delivery: Delivery, outcome: AttemptOutcome) -> None:
        events = attempted(owed, outcome, self._gaps_s)
        load = self._endpoints.of(owed.endpoint_id)
        if outcome.result == "delivered":
            load.succeeded()
            await self._journal.tell(*events)
        elif outcome.result == "failed":
            is_opening = load.failed()
            if is_exhausted(owed, outcome, self._gaps_s):
                await self._burial.of_delivery(
                    owed, delivery.body, reason="exhausted", subject=delivery.subject, events=events
                )
                return
            await self._divert(owed, delivery, outcome)
            if is_opening:
                await self._lanes.pause(owed.endpoint_id, load.open_for_s)
            await self._journal.tell(*events)
        else:
            reason = "endpoint-gone" if outcome.result == "gone" else f"refused: {outcome.reason}"
            await self._burial.of_delivery(
                owed, delivery.body, reason=reason, subject=delivery.subject, events=events
            )

    async def _divert(
        self, owed: WebhookDelivery, delivery: Delivery, outcome: AttemptOutcome | None = None
    ) -> None:
        try:
            await self._lanes.divert(owed, outcome)
        except StreamFull:
            await self._burial.of_delivery(
                owed, delivery.body, reason="backlog-full", subject=delivery.subject
            )
