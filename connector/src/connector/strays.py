"""
Strays: messages that a work queue still holds although its consumer is past them.

A nats-server killed between noting an ack and removing the message leaves one behind: nobody will ever
hand it out (measured: kill -9, 2.15.1). Whether its work was done cannot be told from outside, so it goes
to the end of the queue again: at worst a second POST of the same id.
"""

from __future__ import annotations

import asyncio
from typing import Any

from mailchute import subjects
from mailchute.errors import StreamUnavailable
from mailchute.eventlog import event_log
from mailchute.jetstream import Publisher
from mailchute.stored import Stored, read_run, remove_stored, request_api

from connector.leaks import consumers_of
from connector.lease import Lease

LOOK_S = 10.0
PAGE = 100
QUEUES = (subjects.DELIVERY, subjects.RETRY, subjects.JOURNAL)

log = event_log("connector")


class Strays:
    """Looks for strays every `look_s` seconds; one seen twice is no ack on its way, and is put back."""

    def __init__(self, publisher: Publisher, lease: Lease, *, look_s: float = LOOK_S) -> None:
        self._publisher = publisher
        self._lease = lease
        self._look_s = look_s
        self._seen: set[tuple[str, int]] = set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._look_s)
            try:
                if await self._lease.hold():
                    await self.look()
            except StreamUnavailable as error:
                log.warning("strays-not-looked-for", reason=str(error))

    async def look(self) -> int:
        """Put back what was seen the last time too; returns how many. Raises: StreamUnavailable."""
        found = {(queue, stray.sequence): stray for queue in QUEUES for stray in await self._in(queue)}
        again = self._seen & set(found)
        self._seen = set(found)
        for queue, sequence in sorted(again):
            stray = found[queue, sequence]
            await self._publisher.publish(stray.subject, stray.body, stream=queue)
            await remove_stored(self._publisher.client, queue, sequence)
            log.warning("stray-put-back", stage=queue, count=1)
        return len(again)

    async def _in(self, queue: str) -> list[Stored]:
        consumers = await consumers_of(self._publisher.client, queue)
        info = await request_api(self._publisher.client, f"STREAM.INFO.{queue}", {})
        assert info is not None
        in_hands = sum(each["num_pending"] + each["num_ack_pending"] for each in consumers)
        if info["state"]["messages"] <= in_hands:
            return []
        found: list[Stored] = []
        for consumer in consumers:
            found += await self._behind(queue, consumer)
        return found

    async def _behind(self, queue: str, consumer: dict[str, Any]) -> list[Stored]:
        subject = consumer["config"].get("filter_subject") or ">"
        floor: int = consumer["ack_floor"]["stream_seq"]
        page = await read_run(self._publisher.client, queue, subject, from_sequence=1, count=PAGE)
        return [stored for stored in page if stored.sequence <= floor]
