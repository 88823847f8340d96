"""From JOURNAL to the database: each batch goes to record as it lies."""

from __future__ import annotations

from mailchute.errors import StreamUnavailable
from mailchute.eventlog import event_log
from mailchute.journal import Recorded

from connector.answer import NotNow, Refused, value_of
from connector.burial import Burial
from connector.delivery import Delivery
from connector.function import Function, FunctionAway, FunctionBroke

NAK_SOON_S = 1.0
FAILED_DELAYS_S = (1.0, 5.0, 30.0, 60.0)

log = event_log("connector")


class RecordStage:
    """Works on the journal."""

    def __init__(self, record: Function, burial: Burial) -> None:
        self._record = record
        self._burial = burial

    async def work(self, delivery: Delivery) -> None:
        """Have the batch recorded, and acknowledge it."""
        try:
            answer = await self._record.call(delivery.body)
            value_of(answer, Recorded, stage="record")
        except FunctionAway:
            await delivery.nak(NAK_SOON_S)
            return
        except (NotNow, FunctionBroke) as error:
            delay_s = FAILED_DELAYS_S[min(delivery.num_delivered, len(FAILED_DELAYS_S)) - 1]
            log.warning("journal-waits", stage="record", reason=str(error), duration_s=delay_s)
            await delivery.nak(delay_s)
            return
        except Refused as error:
            try:
                await self._burial.of_unreadable(delivery, stage="record", reason=str(error))
            except StreamUnavailable:
                await delivery.nak(FAILED_DELAYS_S[-1])
                return
        await delivery.ack()
