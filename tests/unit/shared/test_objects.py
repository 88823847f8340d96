"""The Object Store, against a real server."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from mailchute.errors import ContentMissing, ContentUnavailable, StreamUnavailable
from mailchute.jetstream import Publisher, connect
from mailchute.object_sweep import sweep_objects
from mailchute.objects import ObjectWriter, delete_object, read_object, stream_of, write_object
from mailchute.subjects import CONTENT_BUCKET

from tests.servers.nats import NatsServer


@asynccontextmanager
async def writing(server: NatsServer) -> AsyncIterator[Publisher]:
    client = await connect(server.url, name="test")
    try:
        await client.jetstream().create_object_store(CONTENT_BUCKET, max_bytes=256 * 1024 * 1024)
        yield Publisher(client)
    finally:
        await client.close()


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())


@pytest.mark.parametrize("size_octets", [0, 1, 131_072, 131_073, 10_000_000])
def test_what_was_written_is_read(nats_server: NatsServer, size_octets: int) -> None:
    async def work() -> None:
        octets = os.urandom(size_octets)
        async with writing(nats_server) as publisher:
            writer = ObjectWriter(publisher, "msg_1")
            for start in range(0, size_octets, 70_000):
                await writer.write(octets[start : start + 70_000])
            ref = await writer.commit()
            assert (ref.size_octets, ref.sha256) == (size_octets, hashlib.sha256(octets).hexdigest())
            assert await read_object(publisher.client, ref) == octets

    run(work)


def test_a_chunk_without_a_receipt_is_given_up_after_the_time_the_writer_was_given(
    nats_server: NatsServer,
) -> None:
    async def work() -> None:
        async with writing(nats_server) as publisher:
            writer = ObjectWriter(publisher, "msg_1", window=2, timeout_s=0.3)
            nats_server.pause()
            with pytest.raises(StreamUnavailable, match=r"0\.3 s"):
                await writer.write(bytes(1_000_000))
            nats_server.resume()
            await writer.abort()

    run(work)


def test_the_layout_is_the_one_nats_py_reads(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with writing(nats_server) as publisher:
            await write_object(publisher, "msg_1", b"x" * 300_000)
            store = await publisher.client.jetstream().object_store(CONTENT_BUCKET)
            assert (await store.get("msg_1")).data == b"x" * 300_000

    run(work)


def test_an_object_does_not_exist_before_its_commit_and_abort_leaves_nothing(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with writing(nats_server) as publisher:
            ref = await write_object(publisher, "msg_1", b"")
            await delete_object(publisher.client, ref)
            writer = ObjectWriter(publisher, "msg_1")
            await writer.write(b"x" * 500_000)
            with pytest.raises(ContentMissing):
                await read_object(publisher.client, ref)
            await writer.abort()
            info = await publisher.client.jetstream().stream_info(stream_of(CONTENT_BUCKET))
            assert info.state.messages == 0

    run(work)


def test_writing_again_takes_the_place_of_the_former_content(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with writing(nats_server) as publisher:
            first = await write_object(publisher, "msg_1", b"first" * 100_000)
            second = await write_object(publisher, "msg_1", b"second")
            assert await read_object(publisher.client, second) == b"second"
            with pytest.raises(ContentMissing):
                await read_object(publisher.client, first)
            info = await publisher.client.jetstream().stream_info(stream_of(CONTENT_BUCKET))
            assert info.state.messages == 2

    run(work)


def test_a_deleted_object_is_missing_and_deleting_it_again_is_no_error(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with writing(nats_server) as publisher:
            ref = await write_object(publisher, "msg_1", b"x" * 300_000)
            await delete_object(publisher.client, ref)
            await delete_object(publisher.client, ref)
            with pytest.raises(ContentMissing):
                await read_object(publisher.client, ref)
            info = await publisher.client.jetstream().stream_info(stream_of(CONTENT_BUCKET))
            assert info.state.messages == 0

    run(work)


def test_an_object_with_a_chunk_lost_is_unavailable_not_short(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with writing(nats_server) as publisher:
            ref = await write_object(publisher, "msg_1", b"x" * 300_000)
            await publisher.client.jetstream().delete_msg(stream_of(CONTENT_BUCKET), 3)
            with pytest.raises(ContentUnavailable):
                await read_object(publisher.client, ref)

    run(work)


def test_a_server_that_went_away_makes_content_unavailable_not_missing(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with writing(nats_server) as publisher:
            ref = await write_object(publisher, "msg_1", b"x")
            nats_server.kill9()
            with pytest.raises(ContentUnavailable):
                await read_object(publisher.client, ref)
            with pytest.raises(StreamUnavailable):
                await write_object(publisher, "msg_2", b"x")
            nats_server.restart()
            while True:
                try:
                    assert await read_object(publisher.client, ref) == b"x"
                    return
                except ContentUnavailable:
                    await asyncio.sleep(0.02)

    run(work)


def test_sweeping_removes_what_is_old_and_chunks_that_were_given_up(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with writing(nats_server) as publisher:
            ref = await write_object(publisher, "msg_1", b"x" * 300_000)
            given_up = ObjectWriter(publisher, "msg_2")
            await given_up.write(b"x" * 300_000)
            now = datetime.now(UTC)
            long_ago, soon = now - timedelta(hours=1), now + timedelta(hours=1)
            client = publisher.client
            assert await sweep_objects(client, before=long_ago, chunks_before=long_ago) == 0
            assert await sweep_objects(client, before=long_ago, chunks_before=soon) == 1
            assert await read_object(client, ref) == b"x" * 300_000
            assert await sweep_objects(client, before=soon, chunks_before=soon) == 1
            info = await client.jetstream().stream_info(stream_of(CONTENT_BUCKET))
            assert info.state.messages == 0

    run(work)
