"""Telling the journal: events of 20 to 100 ms ride in one message, whoever told them waits for its PubAck."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from mailchute import subjects, wire
from mailchute.errors import TransientError
from mailchute.eventlog import event_log
from mailchute.jetstream import Publisher
from mailchute.journal import Event, JournalBatch

GATHER_S = 0.02
BUSY_GATHER_S = 0.1  # while much is told: each message costs NATS two fsyncs
BUSY_COUNT = 8  # events in the last message that mean so
BATCH_MAX = 100  # events
GIVE_UP_S = 10.0  # a lost log line is better than a second POST
TRY_S = 5.0
RETRY_S = 0.5

log = event_log("connector")


class Journal:
    """Writes the JOURNAL stream."""

    def __init__(self, publisher: Publisher, *, give_up_s: float = GIVE_UP_S) -> None:
        self.is_writing = asyncio.Event()  # a gate: nothing new is begun while the journal fails
        self.is_writing.set()
        self._publisher = publisher
        self._give_up_s = give_up_s
        self._batch: _Batch | None = None
        self.gather_s = GATHER_S  # of the next message
        self._writes: set[asyncio.Task[None]] = set()

    @property
    def is_failing(self) -> bool:
        return not self.is_writing.is_set()

    async def tell(self, *events: Event) -> None:
        """Return once the events are on the stream, or after GIVE_UP_S all the same."""
        await self.note(*events).wait()

    def note(self, *events: Event) -> asyncio.Event:
        """Take the events along; what is returned is set once they are on the stream, or after GIVE_UP_S."""
        if self._batch is None:
            self._batch = _Batch(asyncio.get_running_loop().call_later(self.gather_s, self._write))
        batch = self._batch
        batch.events += events
        if len(batch.events) >= BATCH_MAX:
            self._write()
        return batch.is_over

    def note_at_once(self, *events: Event) -> asyncio.Event:
        """As note, in a message of their own that goes now: for whoever keeps somebody waiting."""
        batch = _Batch(None, list(events))
        self._begin(batch)
        return batch.is_over

    async def flush(self) -> None:
        """Write what is gathered now, and wait for it."""
        self._write()
        if self._writes:
            await asyncio.wait(self._writes, timeout=self._give_up_s)

    def _write(self) -> None:
        if self._batch is None:
            return
        if self._batch.timer is not None:
            self._batch.timer.cancel()
        self.gather_s = BUSY_GATHER_S if len(self._batch.events) >= BUSY_COUNT else GATHER_S
        self._begin(self._batch)
        self._batch = None

    def _begin(self, batch: _Batch) -> None:
        task = asyncio.ensure_future(self._publish(batch))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def _publish(self, batch: _Batch) -> None:
        body = wire.encode(JournalBatch(events=tuple(batch.events)))
        giving_up = asyncio.get_running_loop().call_later(self._give_up_s, batch.is_over.set)
        while True:
            try:
                await self._publisher.publish(
                    subjects.JOURNAL_ALL, body, stream=subjects.JOURNAL, timeout_s=TRY_S
                )
                break
            except TransientError as error:
                if self.is_writing.is_set():
                    log.error("journal-fails", reason=str(error))
                self.is_writing.clear()
                await asyncio.sleep(RETRY_S)  # tried for ever: what waits is no more than was in hand
        giving_up.cancel()
        self.is_writing.set()
        batch.is_over.set()


@dataclass(slots=True)
class _Batch:
    timer: asyncio.TimerHandle | None  # None: it goes at once
    events: list[Event] = field(default_factory=list)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
