"""An endpoint's own pace: even, and of nobody else."""

from __future__ import annotations

import asyncio
import time

from connector.pace import Pace
from mailchute import subjects
from mailchute.delivery import AttemptOutcome, AttemptRequest

from tests.servers.nats import NatsServer
from tests.unit.connector.rooms import eventually, house, mail_for, outcome


class Time:
    """A clock that goes on while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 100.0

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        await asyncio.sleep(0)


def test_turns_are_even_and_one_that_is_too_far_off_is_not_taken() -> None:
    async def work() -> None:
        time = Time()
        pace = Pace(lambda: time.now_s, time.sleep)
        assert await pace.take(0)  # no limit is known
        pace.rate_per_s = 4.0
        assert await pace.take(0)
        assert not await pace.take(0.2)
        assert time.now_s == 100.0
        taken_at = []
        for _ in range(3):
            assert await pace.take()  # a lane waits, however long
            taken_at.append(time.now_s)
        assert taken_at == [100.25, 100.5, 100.75]
        time.now_s = 200.0
        assert await pace.take(0)
        assert not await pace.take(0.2)  # a quiet time saves up no burst

    asyncio.run(work())


def test_a_pace_that_is_lifted_holds_for_those_who_wait() -> None:
    async def work() -> None:
        time = Time()
        pace = Pace(lambda: time.now_s, time.sleep)
        pace.rate_per_s = 0.001
        assert await pace.take()
        waiting = [asyncio.ensure_future(pace.take()) for _ in range(50)]
        await asyncio.sleep(0)
        assert not await pace.take(10_000.0)  # behind others, nobody can say how long
        pace.rate_per_s = None
        assert all(await asyncio.gather(*waiting))
        assert time.now_s < 110.0

    asyncio.run(work())


def test_a_paced_endpoint_gets_everything_evenly_without_attempts_counted(nats_server: NatsServer) -> None:
    posted_at: list[float] = []

    async def paced(_: AttemptRequest) -> AttemptOutcome:
        posted_at.append(time.monotonic())
        return outcome(rate_per_s=20.0)

    async def work() -> None:
        async with house(nats_server, gaps_s=(0, 3_600)) as built:
            built.functions.endpoints["end_paced"] = paced
            await built.accept(mail_for("end_paced"))
            await eventually(lambda: built.pipeline.endpoints.of("end_paced").pace.rate_per_s)
            for _ in range(30):
                await built.accept(mail_for("end_paced"))
                await built.accept(mail_for("end_good"))
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 61, within_s=60)
            await eventually(built.is_quiet, within_s=60)
            assert await built.count(subjects.DEAD) == 0
            assert {event.attempt for event in built.functions.of_kind("attempted")} == {1}

    asyncio.run(work())
    assert len(posted_at) == 31
    # 29 turns at 20 a second; half of it, for a machine that stood still at the first.
    assert posted_at[-1] - posted_at[1] > 0.5 * 29 / 20


def test_an_endpoint_whose_turn_is_far_off_holds_up_no_other(nats_server: NatsServer) -> None:
    is_slow = True

    async def slow(_: AttemptRequest) -> AttemptOutcome:
        return outcome(rate_per_s=0.001 if is_slow else None)

    async def work() -> None:
        nonlocal is_slow
        async with house(nats_server, gaps_s=(0, 3_600)) as built:
            built.functions.endpoints["end_paced"] = slow
            await built.accept(mail_for("end_paced"))
            await eventually(lambda: built.pipeline.endpoints.of("end_paced").pace.rate_per_s)
            for _ in range(30):
                await built.accept(mail_for("end_paced"))
                await built.accept(mail_for("end_good"))

            def good() -> int:
                told = built.functions.of_kind("delivered")
                return sum(event.endpoint_id == "end_good" for event in told)

            await eventually(lambda: good() == 30, within_s=60)
            assert len(built.functions.posts) <= 32  # the first came before its pace was known
            is_slow = False
            built.pipeline.endpoints.of("end_paced").pace.rate_per_s = None
            await eventually(built.is_quiet, within_s=60)
            assert len(built.functions.posts) == 61

    asyncio.run(work())


def test_what_was_never_sent_opens_no_breaker_and_waits_on_its_lane(nats_server: NatsServer) -> None:
    verified = asyncio.Event()

    async def unverified(_: AttemptRequest) -> AttemptOutcome:
        return outcome() if verified.is_set() else outcome("failed", None, is_unsent=True)

    async def work() -> None:
        async with house(nats_server, gaps_s=(0, 3_600)) as built:
            built.functions.endpoints["end_new"] = unverified
            for _ in range(20):
                await built.accept(mail_for("end_new"))
            await eventually(lambda: len(built.functions.of_kind("attempted")) == 20)
            assert not built.pipeline.endpoints.of("end_new").is_open
            assert await built.count(subjects.RETRY) == 20
            verified.set()
            await built.pipeline.lanes.kick("end_new")
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 20)
            await eventually(built.is_quiet)

    asyncio.run(work())
