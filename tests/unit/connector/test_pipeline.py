"""The whole connector between a real JetStream and functions written by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from mailchute import subjects

from tests.servers.nats import NatsServer
from tests.unit.connector.rooms import House, eventually, house, mail_for, outcome, running


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())


def kinds(built: House) -> list[str]:
    return sorted(event.kind for event in built.functions.events)


def test_an_accepted_mail_is_posted_to_each_endpoint_and_journaled(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            mail = mail_for("end_a", "end_b")
            await built.accept(mail)
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 2)
            await eventually(built.is_quiet)
            assert sorted(built.functions.posts) == [("end_a", mail.id), ("end_b", mail.id)]
            assert kinds(built) == ["accepted", "attempted", "attempted", "delivered", "delivered", "parsed"]
            assert await built.count(subjects.MAIL) == 1  # the replay copy

    run(work)


def test_an_endpoint_that_fails_is_tried_by_the_schedule_and_then_dead(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:

            async def fails(_: object) -> object:
                return outcome("failed", 500)

            built.functions.endpoints["end_a"] = fails
            mail = mail_for("end_a")
            await built.accept(mail)
            await eventually(lambda: built.functions.of_kind("dead"))
            await eventually(built.is_quiet)
            assert [event.attempt for event in built.functions.of_kind("attempted")] == [1, 2, 3]
            dead = await built.dead()
            assert [(each.reason, each.mail_id, each.endpoint_id) for each in dead] == [
                ("exhausted", mail.id, "end_a")
            ]

    run(work)


@pytest.mark.parametrize(
    ("result", "reason"), [("gone", "endpoint-gone"), ("refused", "refused: it was deleted")]
)
def test_an_endpoint_that_wants_no_more_is_dead_at_once(
    nats_server: NatsServer, result: str, reason: str
) -> None:
    async def work() -> None:
        async with house(nats_server) as built:

            async def ends(_: object) -> object:
                return outcome(result, None, reason="it was deleted")

            built.functions.endpoints["end_a"] = ends
            await built.accept(mail_for("end_a"))
            await eventually(lambda: built.functions.of_kind("dead"))
            assert [each.reason for each in await built.dead()] == [reason]
            assert len(built.functions.posts) == 1

    run(work)


def test_many_mails_ride_few_calls(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, is_running=False) as built:
            for _ in range(200):
                await built.accept(mail_for("end_a", "end_b"))
            async with running(built.settings):
                await eventually(lambda: len(built.functions.of_kind("delivered")) == 400)
                await eventually(built.is_quiet)
            assert built.functions.calls["scan"] < 100
            assert len(set(built.functions.posts)) == 400

    run(work)


def test_draining_ends_what_is_in_hand_and_begins_nothing(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, is_running=False, ack_wait_s=5.0) as built:
            began = asyncio.Event()

            async def slowly(_: object) -> object:
                began.set()
                await asyncio.sleep(0.3)
                return outcome()

            built.functions.endpoints["end_a"] = slowly
            for _ in range(30):
                await built.accept(mail_for("end_a"))
            async with running(built.settings):
                await began.wait()
            posted = len(built.functions.posts)
            assert len(set(built.functions.posts)) == posted
            client = built.publisher.client
            info = await client.jetstream().consumer_info(subjects.DELIVERY, "delivery")
            assert info.num_ack_pending == 0 or info.num_redelivered == 0
            async with running(built.settings):
                await eventually(lambda: len(built.functions.of_kind("delivered")) == 30)
                await eventually(built.is_quiet)
            assert len(built.functions.posts) == 30  # nothing was POSTed twice

    run(work)


def test_a_mail_goes_on_at_once_when_nothing_else_does(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            for _ in range(20):
                mail = mail_for("end_a")
                await built.accept(mail)
                await eventually(lambda m=mail: ("end_a", m.id) in built.functions.posts)
            assert built.functions.calls["scan batch"] == 0

    run(work)
