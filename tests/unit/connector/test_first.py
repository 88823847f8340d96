"""First attempts are made while their mail is in hand, and nobody hears of a mail twice because of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from connector.first import AT_ONCE_MAX
from mailchute import subjects
from mailchute.delivery import AttemptRequest

from tests.servers.nats import NatsServer
from tests.unit.connector.rooms import House, eventually, house, mail_for, outcome, process, running


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())


async def ridden_count(built: House, stream: str) -> int:
    """Return how many messages this stream ever had."""
    return int((await built.info(stream))["state"]["last_seq"])


def test_a_mail_whose_endpoint_has_room_never_rides_delivery(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            for _ in range(20):
                await built.accept(mail_for("end_a", "end_b"))
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 40)
            await eventually(built.is_quiet)
            assert await ridden_count(built, subjects.DELIVERY) == 0
            assert len(built.functions.posts) == len(set(built.functions.posts)) == 40

    run(work)


def test_a_mail_that_is_handed_out_a_second_time_rides_delivery(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, is_running=False, ack_wait_s=1.0) as built:
            begun = asyncio.Event()

            async def hangs(_: bytes) -> aiohttp.web.Response:
                begun.set()
                await asyncio.sleep(3_600)
                raise AssertionError

            built.functions.spoilt["parse"] = hangs
            mail = mail_for("end_a")
            await built.accept(mail)
            async with process(built.settings):  # killed when it ends
                await begun.wait()
            del built.functions.spoilt["parse"]
            async with running(built.settings):
                await eventually(lambda: built.functions.of_kind("delivered"))
                await eventually(built.is_quiet)
            assert await ridden_count(built, subjects.DELIVERY) == 1
            assert built.functions.posts == [("end_a", mail.id)]

    run(work)


def test_an_endpoint_that_hangs_holds_up_no_other(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            answers = asyncio.Event()

            async def hangs(_: AttemptRequest) -> Any:
                await answers.wait()
                return outcome()

            many = [f"end_{number:03}" for number in range(AT_ONCE_MAX + 40)]
            built.functions.endpoints.update(dict.fromkeys(many, hangs))
            for each in many:
                await built.accept(mail_for(each))
            await eventually(lambda: len(built.functions.posts) == len(many))
            healthy = mail_for("end_healthy")
            await built.accept(healthy)
            await eventually(lambda: ("end_healthy", healthy.id) in built.functions.posts)
            assert await ridden_count(built, subjects.DELIVERY) >= 40
            answers.set()
            await eventually(built.is_quiet)
            assert len(built.functions.posts) == len(many) + 1

    run(work)


def test_what_fails_at_once_is_on_its_lane_before_the_mail_is_acknowledged(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, gaps_s=(0, 3_600)) as built:

            async def fails(_: AttemptRequest) -> Any:
                return outcome("failed", 500)

            built.functions.endpoints["end_a"] = fails
            await built.accept(mail_for("end_a"))
            await eventually(lambda: built.functions.of_kind("attempted"))
            await eventually(built.is_worked_off)
            assert await built.count(subjects.RETRY) == 1
            assert await ridden_count(built, subjects.DELIVERY) == 0

    run(work)


def test_a_payload_too_large_for_a_record_is_put_aside_only_when_it_has_to_wait(
    nats_server: NatsServer,
) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            built.functions.payload = b"x" * 3_000_000
            tries = 0

            async def fails_once(_: AttemptRequest) -> Any:
                nonlocal tries
                tries += 1
                return outcome("failed", 500) if tries == 1 else outcome()

            await built.accept(mail_for("end_a"))
            await eventually(lambda: built.functions.of_kind("delivered"))
            assert await ridden_count(built, "OBJ_content") == 0
            built.functions.endpoints["end_b"] = fails_once
            await built.accept(mail_for("end_b"))
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 2)
            await eventually(built.is_quiet)
            assert await ridden_count(built, "OBJ_content") > 0
            assert {len(each.payload) for each in built.functions.requests} == {3_000_000}
            assert await built.count("OBJ_content") == 0  # given back

    run(work)


def test_what_was_settled_is_not_posted_again_when_its_mail_comes_again(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            mail = mail_for("end_a")
            await built.accept(mail)
            await eventually(lambda: built.functions.of_kind("delivered"))
            await eventually(built.is_quiet)
            # As a nats-server that was killed may: it keeps acks in memory for a moment.
            await built.forget_acks()
            await eventually(lambda: len(built.functions.parsed) == 2)
            await eventually(built.is_quiet)
            assert built.functions.posts == [("end_a", mail.id)]

    run(work)


def test_a_mail_that_was_erased_meanwhile_is_not_posted(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            mail = mail_for("end_a")
            await built.pipeline.erased.add(mail.id)
            await built.accept(mail)
            await eventually(lambda: built.functions.of_kind("parsed"))
            await eventually(built.is_quiet)
            assert built.functions.posts == []

    run(work)


def test_deliver_going_down_over_it_puts_it_on_the_lane_not_to_be_lost(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            broke = False

            async def breaks(_: bytes) -> aiohttp.web.Response | None:
                nonlocal broke
                if broke:
                    return None
                broke = True
                return aiohttp.web.Response(status=500)

            built.functions.spoilt["deliver"] = breaks
            mail = mail_for("end_a")
            await built.accept(mail)
            await eventually(lambda: built.functions.of_kind("delivered"))
            await eventually(built.is_quiet)
            assert built.functions.posts == [("end_a", mail.id)]
            assert await ridden_count(built, subjects.RETRY) == 1

    run(work)


def test_a_mail_whose_connector_is_killed_in_an_attempt_is_the_next_ones(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, is_running=False, ack_wait_s=1.0) as built:
            begun = asyncio.Event()

            async def hangs(_: AttemptRequest) -> Any:
                begun.set()
                await asyncio.sleep(3_600)

            built.functions.endpoints["end_a"] = hangs
            mail = mail_for("end_a")
            await built.accept(mail)
            async with process(built.settings):  # killed when it ends
                await begun.wait()
            del built.functions.endpoints["end_a"]
            async with running(built.settings):
                await eventually(lambda: built.functions.of_kind("delivered"))
                await eventually(built.is_quiet)
            assert set(built.functions.posts) == {("end_a", mail.id)}

    run(work)
