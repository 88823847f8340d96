"""Messages that a killed server left behind."""

from __future__ import annotations

import asyncio

from connector.consumers import assert_consumer, consumer_config
from connector.leaks import states
from mailchute import subjects, wire

from tests.servers.nats import NatsServer
from tests.unit.connector.rooms import House, eventually, house, running
from tests.unit.connector.test_lanes import owed_by


async def stranded(built: House) -> int:
    return sum(state.stranded_count for state in await states(built.publisher.client))


def test_a_message_its_consumer_is_past_is_put_back_when_it_is_seen_twice(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, is_running=False) as built:
            client = built.publisher.client
            subject = subjects.retry_subject_of("end_a")
            await built.publisher.publish(subject, wire.encode(owed_by("end_a", 1)), stream=subjects.RETRY)
            config = consumer_config("lane-end_a", ack_wait_s=30, filter_subject=subject)
            await assert_consumer(client, subjects.RETRY, config)
            # As a server leaves it that was killed between noting the ack and removing the message.
            await client.jetstream().reset_consumer(subjects.RETRY, "lane-end_a", seq=2)
            async with running(built.settings) as pipeline:
                await eventually(lambda: "end_a" in pipeline.lanes.lanes)
                assert await stranded(built) == 1
                assert await pipeline.strays.look() == 0
                assert not built.functions.posts
                assert await pipeline.strays.look() == 1
                await eventually(lambda: built.functions.of_kind("delivered"))
                await eventually(built.is_quiet)
                assert await stranded(built) == 0

    asyncio.run(work())
