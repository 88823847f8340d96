"""From JOURNAL to the database: what waits while record was just called goes to it as one batch."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import msgspec
from mailchute import wire
from mailchute.errors import NewerVersion, StreamUnavailable, Undecodable
from mailchute.eventlog import event_log
from mailchute.journal import Recorded

from connector.answer import NotNow, Refused, value_of
from connector.burial import Burial
from connector.delivery import Delivery
from connector.function import Function, FunctionAway, FunctionBroke

# A transaction costs the same however many events are in it. The first after a quiet time goes at once.
GATHER_S = 0.5
EVENTS_MAX = 1_000
NAK_SOON_S = 1.0
FAILED_DELAYS_S = (1.0, 5.0, 30.0, 60.0)

log = event_log("connector")


class RecordStage:
    """Works on the journal."""

    def __init__(self, record: Function, burial: Burial) -> None:
        self._record = record
        self._burial = burial
        self._gathering: _Gathering | None = None
        self._called_at = 0.0

    async def work(self, delivery: Delivery) -> None:
        """Have the batch recorded, and acknowledge it."""
        try:
            await self._recorded(delivery.body)
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

    async def _recorded(self, body: bytes) -> None:
        try:
            events = wire.decode(body, _Events).events
        except (NewerVersion, Undecodable):
            await self._call(body)  # record says what is to become of it
            return
        gathering = self._gathering
        if gathering is None:
            wait_s = self._called_at + GATHER_S - time.monotonic()
            gathering = self._gathering = _Gathering()
            gathering.timer = asyncio.get_running_loop().call_later(max(0.0, wait_s), self._send)
        gathering.bodies.append(body)
        gathering.events += events
        if len(gathering.events) >= EVENTS_MAX:
            self._send()
        try:
            await asyncio.shield(gathering.answer)
        except (Refused, NotNow, FunctionBroke):
            if len(gathering.bodies) == 1:
                raise
            await self._call(body)  # which of them it was is not known: each for itself

    def _send(self) -> None:
        gathering, self._gathering = self._gathering, None
        assert gathering is not None
        assert gathering.timer is not None
        gathering.timer.cancel()
        self._called_at = time.monotonic()
        is_one = len(gathering.bodies) == 1
        body = gathering.bodies[0] if is_one else wire.encode(_Events(events=gathering.events))
        gathering.call = asyncio.ensure_future(self._answer(gathering, body))

    async def _answer(self, gathering: _Gathering, body: bytes) -> None:
        try:
            await self._call(body)
        except (FunctionAway, NotNow, FunctionBroke, Refused) as error:
            gathering.answer.set_exception(error)
        else:
            gathering.answer.set_result(None)

    async def _call(self, body: bytes) -> None:
        value_of(await self._record.call(body), Recorded, stage="record")


class _Events(msgspec.Struct):
    """A JournalBatch whose events stay octets."""

    version: int = wire.VERSION
    events: list[msgspec.Raw] = []


@dataclass(slots=True)
class _Gathering:
    """Batches that go to record as one."""

    bodies: list[bytes] = field(default_factory=list)
    events: list[msgspec.Raw] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None
    call: asyncio.Task[None] | None = None  # held, or the loop might drop it
    answer: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
