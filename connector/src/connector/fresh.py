"""Publishing what is owed: under load the deliveries of many mails are one atomic batch, and one fsync."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from mailchute import subjects
from mailchute.errors import PermanentError, TransientError
from mailchute.jetstream import Publication, Publisher

BUSY_COUNT = 32  # mails in hand: whoever waits here then waits for its turn anyway
GATHER_S = 0.05
BATCH_MIN = 8  # fewer cost the server more together than one by one (measured with 2.15)
BATCH_MAX = 32


class Fresh:
    """
    Writes the DELIVERY stream.

    Args:
        in_hand_count: Returns how many mails are being worked on.
    """

    def __init__(self, publisher: Publisher, in_hand_count: Callable[[], int]) -> None:
        self._publisher = publisher
        self._in_hand_count = in_hand_count
        self._gathering: _Gathering | None = None

    async def publish(self, body: bytes, message_id: str) -> None:
        """
        Return once the delivery is on the stream; that it was there before is as good.

        Raises: As Publisher.publish.
        """
        delivery = Publication(subjects.DELIVERY_FRESH, body, subjects.DELIVERY, message_id)
        if self._in_hand_count() < BUSY_COUNT or not await self._together(delivery):
            await self._publisher.publish(
                delivery.subject, body, stream=delivery.stream, message_id=message_id
            )

    async def _together(self, delivery: Publication) -> bool:
        """Return whether it was published with others."""
        gathering = self._gathering
        if gathering is None:
            loop = asyncio.get_running_loop()
            gathering = self._gathering = _Gathering(
                loop.call_later(GATHER_S, self._send), loop.create_future()
            )
        gathering.deliveries.append(delivery)
        if len(gathering.deliveries) >= BATCH_MAX:
            self._send()
        return await asyncio.shield(gathering.is_published)

    def _send(self) -> None:
        gathering, self._gathering = self._gathering, None
        assert gathering is not None
        gathering.timer.cancel()
        if len(gathering.deliveries) < BATCH_MIN:
            gathering.is_published.set_result(False)
        else:
            gathering.task = asyncio.ensure_future(self._publish(gathering))

    async def _publish(self, gathering: _Gathering) -> None:
        is_published = False
        try:
            await self._publisher.publish_all(gathering.deliveries)
            is_published = True
        except (TransientError, PermanentError):
            pass  # each for itself: one that cannot be stored takes no other with it
        finally:
            gathering.is_published.set_result(is_published)


@dataclass(slots=True)
class _Gathering:
    """Deliveries that go together."""

    timer: asyncio.TimerHandle
    is_published: asyncio.Future[bool]
    deliveries: list[Publication] = field(default_factory=list)
    task: asyncio.Task[None] | None = None  # held, or the loop might drop it
