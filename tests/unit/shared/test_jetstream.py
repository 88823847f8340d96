"""Publishing to JetStream, against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from mailchute.errors import StreamFull, StreamUnavailable
from mailchute.jetstream import Publication, Publisher, Receipt, connect
from nats.js.api import DiscardPolicy, StreamConfig

from tests.servers.nats import NatsServer


@asynccontextmanager
async def publishing(server: NatsServer, **stream: object) -> AsyncIterator[Publisher]:
    client = await connect(server.url, name="test")
    try:
        config = {"subjects": ["work.*"], "discard": DiscardPolicy.NEW, "duplicate_window": 60, **stream}
        await client.jetstream().add_stream(StreamConfig(name="WORK", **config))
        yield Publisher(client)
    finally:
        await client.close()


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())


def test_the_test_server_fsyncs_before_it_answers(nats_server: NatsServer) -> None:
    assert nats_server.monitor("varz")["jetstream"]["config"]["sync_always"] is True


def test_a_receipt_tells_where_it_lies_and_whether_it_lay_there_before(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with publishing(nats_server) as publisher:
            found = [
                await publisher.publish("work.a", b"1", stream="WORK", message_id="one"),
                await publisher.publish("work.a", b"1", stream="WORK", message_id="one"),
                await publisher.publish("work.a", b"2", stream="WORK"),
            ]
            assert found == [Receipt(1, False), Receipt(1, True), Receipt(2, False)]

    run(work)


def test_many_publishes_at_once_get_each_its_own_receipt(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with publishing(nats_server) as publisher:
            receipts = await asyncio.gather(
                *(publisher.publish("work.a", b"x", stream="WORK") for _ in range(100))
            )
            assert sorted(receipt.sequence for receipt in receipts) == list(range(1, 101))

    run(work)


def test_a_subject_without_a_stream_is_unavailable(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with publishing(nats_server) as publisher:
            with pytest.raises(StreamUnavailable, match="no such stream"):
                await publisher.publish("elsewhere", b"", stream="WORK")

    run(work)


def test_a_receipt_of_another_stream_does_not_count(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with publishing(nats_server) as publisher:
            with pytest.raises(StreamUnavailable, match="not on MAIL"):
                await publisher.publish("work.a", b"", stream="MAIL")

    run(work)


@pytest.mark.parametrize(
    "limits",
    [
        {"max_bytes": 2_500},
        {"max_msgs": 2},
        {"max_msgs_per_subject": 2, "discard_new_per_subject": True},
    ],
)
def test_a_full_stream_says_so(nats_server: NatsServer, limits: dict[str, object]) -> None:
    async def work() -> None:
        async with publishing(nats_server, **limits) as publisher:
            for _ in range(2):
                await publisher.publish("work.a", b"x" * 900, stream="WORK")
            with pytest.raises(StreamFull):
                await publisher.publish("work.a", b"x" * 900, stream="WORK")

    run(work)


def test_a_server_that_hangs_gives_no_receipt_in_time_and_the_same_id_is_then_a_duplicate(
    nats_server: NatsServer,
) -> None:
    async def work() -> None:
        async with publishing(nats_server) as publisher:
            await publisher.publish("work.a", b"", stream="WORK")
            nats_server.pause()
            with pytest.raises(StreamUnavailable, match="no receipt"):
                await publisher.publish("work.a", b"x", stream="WORK", message_id="one", timeout_s=0.2)
            nats_server.resume()
            receipt = await publisher.publish("work.a", b"x", stream="WORK", message_id="one")
            assert receipt == Receipt(2, True)

    run(work)


def test_it_publishes_again_after_the_server_was_killed(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with publishing(nats_server) as publisher:
            await publisher.publish("work.a", b"1", stream="WORK", message_id="one")
            nats_server.kill9()
            with pytest.raises(StreamUnavailable):
                await publisher.publish("work.a", b"2", stream="WORK", timeout_s=0.2)
            nats_server.restart()
            while True:
                try:
                    receipt = await publisher.publish("work.a", b"1", stream="WORK", message_id="one")
                    break
                except StreamUnavailable:
                    await asyncio.sleep(0.02)
            assert receipt.is_duplicate

    run(work)


def test_it_waits_for_a_server_that_is_not_there_yet(nats_server: NatsServer) -> None:
    async def work() -> None:
        nats_server.kill9()
        connecting = asyncio.ensure_future(connect(nats_server.url, name="test"))
        await asyncio.sleep(0.1)
        nats_server.restart()
        client = await connecting
        assert client.is_connected
        await client.close()

    run(work)


def batch(*ids: str) -> list[Publication]:
    return [Publication("work.a", each.encode(), "WORK", each) for each in ids]


@pytest.mark.parametrize("allow_atomic", [True, False])
def test_a_batch_gets_a_receipt_for_each(nats_server: NatsServer, allow_atomic: bool) -> None:
    async def work() -> None:
        async with publishing(nats_server, allow_atomic=allow_atomic) as publisher:
            assert await publisher.publish_all(batch("a", "b", "c")) == [
                Receipt(1, False),
                Receipt(2, False),
                Receipt(3, False),
            ]
            assert await publisher.publish_all(batch("d")) == [Receipt(4, False)]

    run(work)


def test_a_batch_that_holds_a_duplicate_goes_singly(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with publishing(nats_server, allow_atomic=True) as publisher:
            await publisher.publish_all(batch("b"))
            assert await publisher.publish_all(batch("a", "b", "c")) == [
                Receipt(2, False),
                Receipt(1, True),
                Receipt(3, False),
            ]

    run(work)


def test_a_batch_that_does_not_fit_leaves_nothing_behind(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with publishing(nats_server, allow_atomic=True, max_msgs=2) as publisher:
            with pytest.raises(StreamFull):
                await publisher.publish_all(batch("a", "b", "c"))
            info = await publisher.client.jetstream().stream_info("WORK")
            assert info.state.messages == 0

    run(work)
