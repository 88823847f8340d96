"""Retry lanes: trouble with one endpoint is nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from connector.lanes import Lanes
from mailchute import subjects, wire
from mailchute.delivery import AttemptOutcome, AttemptRequest, WebhookDelivery, delivery_id_of
from mailchute.errors import StreamUnavailable
from mailchute.stored import request_api

from tests.servers.nats import NatsServer
from tests.unit.connector.rooms import (
    Functions,
    House,
    eventually,
    house,
    mail_for,
    outcome,
    running,
    settings_for,
)


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())


async def fails(_: AttemptRequest) -> AttemptOutcome:
    return outcome("failed", 500)


async def lanes_of(built: House) -> set[str]:
    answer = await request_api(built.publisher.client, f"CONSUMER.NAMES.{subjects.RETRY}", {})
    assert answer is not None
    return set(answer["consumers"] or [])


def owed_by(endpoint_id: str, number: int) -> WebhookDelivery:
    mail = mail_for(endpoint_id)
    return WebhookDelivery(
        id=delivery_id_of(mail.id, endpoint_id, "0"),
        run="0",
        mail_id=f"{mail.id}{number}",
        account_id="acc_1",
        domain_id="dom_1",
        alias_id="als_1",
        endpoint_id=endpoint_id,
        payload=b"{}",
        mail_stream=subjects.MAIL,
        mail_sequence=1,
        created_at=mail.received_at,
    )


async def divert(lanes: Lanes, owed: WebhookDelivery) -> None:
    """Until it is there: a server that makes and removes the same consumer at once may refuse."""
    while True:
        try:
            return await lanes.divert(owed, None)
        except StreamUnavailable:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ["fails", "hangs"])
def test_a_dead_endpoint_with_a_thousand_waiting_does_not_hold_up_a_healthy_one(
    nats_server: NatsServer, how: str
) -> None:
    async def work() -> None:
        async with house(nats_server, gaps_s=(0, 3_600)) as built:
            released = asyncio.Event()

            async def hangs(_: AttemptRequest) -> AttemptOutcome:
                await released.wait()
                return outcome("failed", None)

            built.functions.endpoints["end_dead"] = fails if how == "fails" else hangs
            await asyncio.gather(*(built.accept(mail_for("end_dead")) for _ in range(1_000)))
            healthy = [mail_for("end_good") for _ in range(50)]
            for mail in healthy:
                await built.accept(mail)
            wanted = {("end_good", mail.id) for mail in healthy}
            await eventually(lambda: wanted <= set(built.functions.posts))
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 50)
            assert await built.count(subjects.RETRY) + await built.count(subjects.DELIVERY) > 0
            dead_posts = [endpoint for endpoint, _ in built.functions.posts if endpoint == "end_dead"]
            assert len(dead_posts) < 20  # the breaker holds the rest back
            released.set()

    run(work)


def test_an_endpoint_that_comes_back_gets_everything_once(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, gaps_s=(0, 0.3, 0.3, 0.3, 5, 5, 5, 5)) as built:
            built.functions.endpoints["end_a"] = fails
            mails = [mail_for("end_a") for _ in range(40)]
            for mail in mails:
                await built.accept(mail)
            await eventually(lambda: len(built.functions.posts) >= 5)
            good: list[str] = []

            async def works(request: AttemptRequest) -> AttemptOutcome:
                good.append(request.delivery.mail_id)
                return outcome()

            built.functions.endpoints["end_a"] = works
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 40, within_s=60)
            assert sorted(good) == sorted(mail.id for mail in mails)
            await eventually(built.is_quiet)

    run(work)


def test_a_kick_hands_out_at_once_what_waits_for_its_time(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, gaps_s=(0, 0.1, 3_600)) as built:
            built.functions.endpoints["end_a"] = fails
            for _ in range(20):
                await built.accept(mail_for("end_a"))
            await eventually(lambda: built.pipeline.endpoints.of("end_a").is_open)
            await asyncio.sleep(0.2)
            del built.functions.endpoints["end_a"]
            await built.pipeline.lanes.kick("end_a")
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 20)

    run(work)


def test_an_idle_lane_is_removed_and_made_again_when_needed(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, lane_idle_s=0.2) as built:
            for _ in range(2):
                built.functions.endpoints["end_a"] = fails
                await built.accept(mail_for("end_a"))
                await eventually(lambda: "end_a" in built.pipeline.lanes.lanes)
                await eventually(lambda: built.functions.of_kind("attempted"))
                del built.functions.endpoints["end_a"]
                await eventually(built.is_quiet)
                await eventually(lambda: not built.pipeline.lanes.lanes)
                assert not await lanes_of(built)

    run(work)


def test_publishing_that_races_with_a_lanes_removal_strands_none(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, lane_idle_s=0.0) as built, running(built.settings) as other:
            owed = [owed_by(f"end_{number % 3}", number) for number in range(150)]
            for number, each in enumerate(owed):
                await divert((built.pipeline, other)[number % 2].lanes, each)
                await asyncio.sleep(0.01)
            wanted = {each.mail_id for each in owed}
            await eventually(lambda: wanted <= {mail_id for _, mail_id in built.functions.posts})
            await eventually(built.is_quiet)

    run(work)


def test_a_lane_that_was_lost_is_found_by_reconciling(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, is_running=False) as built:
            each = owed_by("end_a", 1)
            await built.publisher.publish(
                subjects.retry_subject_of("end_a"), wire.encode(each), stream=subjects.RETRY
            )
            async with running(built.settings):
                await eventually(lambda: built.functions.posts == [("end_a", each.mail_id)])

    run(work)


@pytest.mark.parametrize("limit", [{"lane_max_messages": 5}, {"lane_max_octets": 2_000}])
def test_beyond_its_budget_an_endpoints_backlog_is_dead_and_replayable(
    nats_server: NatsServer, limit: dict[str, int]
) -> None:
    async def work() -> None:
        async with house(nats_server, gaps_s=(0, 3_600), **limit) as built:
            built.functions.endpoints["end_a"] = fails
            built.functions.payload = b'"a payload"'
            for _ in range(20):
                await built.accept(mail_for("end_a"))
            await eventually(lambda: built.functions.of_kind("dead"))
            await eventually(lambda: built.pipeline.pulls[subjects.DELIVERY].in_hand_count == 0)
            dead = await built.dead()
            assert {each.reason for each in dead} == {"backlog-full"}
            # Its mail holds it all: a backlog that found no room on its lane does not fill DEAD instead.
            assert {wire.decode(each.record, WebhookDelivery).payload for each in dead} == {b""}
            await built.accept(mail_for("end_b"))
            await eventually(lambda: built.functions.of_kind("delivered"))

    run(work)


def test_no_lane_may_hold_more_than_a_quarter_of_retry(nats_server: NatsServer) -> None:
    settings = settings_for(nats_server, Functions(), streams_max_octets=100 * 1024**2)
    assert settings.lane_octets == 3 * 1024**2
    assert settings_for(nats_server, Functions(), lane_max_octets=1_000).lane_octets == 1_000


def test_a_fresh_message_delivered_a_second_time_is_diverted_not_posted_beside_others(
    nats_server: NatsServer,
) -> None:
    async def work() -> None:
        async with house(nats_server, is_running=False) as built:
            mail = owed_by("end_a", 1)
            await built.publisher.publish(
                subjects.DELIVERY_FRESH, wire.encode(mail), stream=subjects.DELIVERY
            )
            taken = await built.publisher.client.jetstream().pull_subscribe_bind(
                consumer="delivery", stream=subjects.DELIVERY
            )
            (message,) = await taken.fetch(1)
            await message.nak()
            async with running(built.settings):
                await eventually(lambda: built.functions.of_kind("delivered"))
                assert await lanes_of(built) == {"lane-end_a"}

    run(work)


def test_a_delivery_that_came_to_the_lane_untried_begins_its_schedule_with_its_first_attempt(
    nats_server: NatsServer,
) -> None:
    async def work() -> None:
        async with house(nats_server, gaps_s=(0, 0.2, 1.0)) as built:
            built.functions.endpoints["end_a"] = fails
            await built.pipeline.lanes.divert(owed_by("end_a", 1), None)
            await eventually(lambda: built.functions.of_kind("dead"))
            assert [event.attempt for event in built.functions.of_kind("attempted")] == [1, 2, 3]
            await eventually(built.is_quiet)

    run(work)


def test_what_waited_untried_for_a_whole_schedule_is_dead_with_its_first_failure(
    nats_server: NatsServer,
) -> None:
    async def work() -> None:
        async with house(nats_server, gaps_s=(0, 0.2, 1.0)) as built:
            built.functions.endpoints["end_a"] = fails
            long_ago = datetime.now(UTC) - timedelta(hours=1)
            owed = msgspec.structs.replace(owed_by("end_a", 1), created_at=long_ago)
            await built.pipeline.lanes.divert(owed, None)
            await eventually(lambda: built.functions.of_kind("dead"))
            assert [event.attempt for event in built.functions.of_kind("attempted")] == [1]

    run(work)


def test_deliver_being_away_counts_no_attempt(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            urls = dict(built.settings.function_urls)
            await built.functions.stop()
            for _ in range(5):
                await built.accept(mail_for("end_a"))
            await eventually(lambda: not built.pipeline.functions["scan"].is_there.is_set())
            await built.functions.start()
            assert built.settings.function_urls == urls
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 5)
            assert {event.attempt for event in built.functions.of_kind("attempted")} == {1}

    run(work)


def test_two_connectors_share_the_work(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built, running(built.settings):
            built.functions.endpoints["end_b"] = fails
            mails = [mail_for("end_a", "end_b") for _ in range(100)]
            for mail in mails:
                await built.accept(mail)
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 100)
            await eventually(lambda: len(built.functions.of_kind("dead")) == 100, within_s=60)
            await eventually(built.is_quiet)
            good = [mail_id for endpoint, mail_id in built.functions.posts if endpoint == "end_a"]
            assert sorted(good) == sorted(mail.id for mail in mails)

    run(work)


@pytest.mark.parametrize("fault", ["pause", "restart"])
def test_a_fault_of_nats_in_the_middle_loses_nothing(nats_server: NatsServer, fault: str) -> None:
    async def work() -> None:
        async with house(nats_server, ack_wait_s=2.0) as built:
            mails = [mail_for("end_a") for _ in range(60)]
            for mail in mails:
                await built.accept(mail)
            await eventually(lambda: len(built.functions.posts) > 5)
            if fault == "pause":
                nats_server.pause()
                await asyncio.sleep(1)
                nats_server.resume()
            else:
                nats_server.restart()
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 60, within_s=60)
            await eventually(lambda: built.publisher.client.is_connected)
            await eventually(built.is_quiet)

    run(work)
