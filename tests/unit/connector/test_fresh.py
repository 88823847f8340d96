"""Deliveries go to the stream at once while little is in hand, and together while much is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from connector.fresh import BATCH_MAX, BATCH_MIN, BUSY_COUNT, Fresh
from mailchute import subjects
from mailchute.errors import StreamFull
from mailchute.jetstream import Publication
from mailchute.receipt import Receipt

from tests.contract.stream import FakeStream


@dataclass
class Counting(FakeStream):
    """Notes how large each batch was."""

    batches: list[int] = field(default_factory=list)

    async def publish_all(self, publications: list[Publication], *, timeout_s: float = 5.0) -> list[Receipt]:
        self.batches.append(len(publications))
        return await super().publish_all(publications, timeout_s=timeout_s)


def published(stream: FakeStream, count: int, *, busy_count: int) -> list[BaseException | None]:
    """Publish so many deliveries in one moment; return what each of them raised."""

    async def work() -> list[BaseException | None]:
        fresh = Fresh(stream, lambda: busy_count)  # type: ignore[arg-type]
        publishing = [fresh.publish(b"%d" % number, f"id {number}") for number in range(count)]
        return await asyncio.gather(*publishing, return_exceptions=True)

    return asyncio.run(work())


@pytest.mark.parametrize(
    ("busy_count", "count", "batches"),
    [
        pytest.param(BUSY_COUNT - 1, BATCH_MAX, [], id="little in hand: one by one"),
        pytest.param(BUSY_COUNT, BATCH_MIN - 1, [], id="too few came in time: one by one"),
        pytest.param(BUSY_COUNT, BATCH_MIN, [BATCH_MIN], id="enough: together"),
        pytest.param(BUSY_COUNT, 2 * BATCH_MAX, [BATCH_MAX, BATCH_MAX], id="a full batch does not wait"),
    ],
)
def test_what_is_owed_is_on_the_stream_once(busy_count: int, count: int, batches: list[int]) -> None:
    stream = Counting(subjects.DELIVERY, subjects.DELIVERY_FRESH)
    assert published(stream, count, busy_count=busy_count) == [None] * count
    assert sorted(body for _, body in stream.messages) == sorted(b"%d" % number for number in range(count))
    assert stream.batches == batches


def test_where_not_all_find_room_each_hears_of_its_own() -> None:
    stream = Counting(subjects.DELIVERY, subjects.DELIVERY_FRESH, max_messages=3)
    raised = published(stream, BATCH_MIN, busy_count=BUSY_COUNT)
    assert stream.batches == [BATCH_MIN]
    assert len(stream.messages) == raised.count(None) == 3
    assert all(isinstance(each, StreamFull) for each in raised if each is not None)
