"""The fake stream and the real JetStream pass the same suite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count

import pytest
from mailchute.errors import StreamFull, StreamUnavailable
from mailchute.jetstream import Publication, Publisher, connect
from mailchute.receipt import Receipt
from nats.js.api import DiscardPolicy, StreamConfig

from tests.contract.stream import FakeStream
from tests.servers.nats import NatsServer

Stream = Publisher | FakeStream
_numbers = count()


@pytest.fixture(params=["fake", "real"])
def opened(request: pytest.FixtureRequest, nats_server_session: NatsServer) -> Callable[[], object]:
    """A function that opens an empty stream WORK<n> on work<n>.>, of at most three messages."""
    number = next(_numbers)
    name, prefix = f"WORK{number}", f"work{number}."

    @asynccontextmanager
    async def real() -> AsyncIterator[tuple[Stream, str, str]]:
        client = await connect(nats_server_session.url, name="test")
        config = StreamConfig(
            name=name,
            subjects=[f"{prefix}>"],
            discard=DiscardPolicy.NEW,
            max_msgs=3,
            duplicate_window=60,
            allow_atomic=True,
        )
        await client.jetstream().add_stream(config)
        try:
            yield Publisher(client), name, prefix
        finally:
            await client.jetstream().delete_stream(name)
            await client.close()

    @asynccontextmanager
    async def fake() -> AsyncIterator[tuple[Stream, str, str]]:
        yield FakeStream(name, prefix, max_messages=3), name, prefix

    return real if request.param == "real" else fake


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())


def test_sequences_rise_and_a_duplicate_names_the_first(opened: Callable) -> None:  # type: ignore[type-arg]
    async def work() -> None:
        async with opened() as (stream, name, prefix):
            receipts = [
                await stream.publish(prefix + "a", b"", stream=name, message_id=message_id)
                for message_id in ("one", "two", "one", None)
            ]
            assert receipts == [Receipt(1, False), Receipt(2, False), Receipt(1, True), Receipt(3, False)]

    run(work)


def test_a_full_stream_refuses_what_is_new_but_knows_what_it_has(opened: Callable) -> None:  # type: ignore[type-arg]
    async def work() -> None:
        async with opened() as (stream, name, prefix):
            for message_id in ("a", "b", "c"):
                await stream.publish(prefix + "a", b"", stream=name, message_id=message_id)
            with pytest.raises(StreamFull):
                await stream.publish(prefix + "a", b"", stream=name, message_id="d")
            assert (await stream.publish(prefix + "a", b"", stream=name, message_id="b")).is_duplicate

    run(work)


def test_a_subject_of_no_stream_and_a_receipt_of_another_do_not_count(opened: Callable) -> None:  # type: ignore[type-arg]
    async def work() -> None:
        async with opened() as (stream, name, prefix):
            with pytest.raises(StreamUnavailable, match="no such stream"):
                await stream.publish("elsewhere", b"", stream=name)
            with pytest.raises(StreamUnavailable, match="not on OTHER"):
                await stream.publish(prefix + "a", b"", stream="OTHER")

    run(work)


def test_a_batch_is_all_or_none_and_singly_where_it_holds_a_duplicate(opened: Callable) -> None:  # type: ignore[type-arg]
    async def work() -> None:
        async with opened() as (stream, name, prefix):

            def batch(*ids: str) -> list[Publication]:
                return [Publication(prefix + "a", b"", name, each) for each in ids]

            with pytest.raises(StreamFull):
                await stream.publish_all(batch("a", "b", "c", "d"))
            assert await stream.publish_all(batch("a", "b")) == [Receipt(1, False), Receipt(2, False)]
            assert await stream.publish_all(batch("b", "c")) == [Receipt(2, True), Receipt(3, False)]

    run(work)
