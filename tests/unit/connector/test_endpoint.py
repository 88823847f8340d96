"""What an endpoint can bear."""

from __future__ import annotations

import asyncio

from connector.endpoint import (
    BREAKER_FAILURES,
    CAP_MAX,
    PAUSE_MAX_S,
    PAUSE_MIN_S,
    EndpointLoad,
    EndpointLoads,
)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def test_the_cap_starts_at_four_grows_to_64_with_success_and_halves_with_failure() -> None:
    load = EndpointLoad(Clock())
    assert load.cap == 4
    for _ in range(100):
        load.succeeded()
    assert load.cap == CAP_MAX
    load.failed()
    assert load.cap == CAP_MAX / 2


def test_without_a_recent_success_a_failure_leaves_one() -> None:
    clock = Clock()
    load = EndpointLoad(clock)
    load.failed()
    assert load.cap == 1
    for _ in range(30):
        load.succeeded()
    load.failed()
    assert load.cap > 1
    clock.now_s += 61
    assert load.cap == 1


def test_the_breaker_opens_after_failures_in_a_row_and_longer_with_each_probe_that_fails() -> None:
    clock = Clock()
    load = EndpointLoad(clock)
    assert [load.failed() for _ in range(BREAKER_FAILURES)] == [False] * (BREAKER_FAILURES - 1) + [True]
    pauses = []
    for _ in range(10):
        assert load.is_open
        assert load.is_probing
        pauses.append(load.open_for_s)
        clock.now_s += load.open_for_s
        assert not load.is_open
        assert load.cap == 1
        assert load.failed()
    assert pauses[0] == PAUSE_MIN_S
    assert pauses[1] == 2 * PAUSE_MIN_S
    assert pauses[-1] == PAUSE_MAX_S


def test_failures_that_were_under_way_when_it_opened_do_not_prolong_it() -> None:
    clock = Clock()
    load = EndpointLoad(clock)
    for _ in range(BREAKER_FAILURES):
        load.failed()
    before = load.open_for_s
    assert not load.failed()
    assert load.open_for_s == before


def test_one_success_closes_it_and_forgiving_does_too() -> None:
    for close in (EndpointLoad.succeeded, EndpointLoad.forgive):
        load = EndpointLoad(Clock())
        for _ in range(BREAKER_FAILURES):
            load.failed()
        close(load)
        assert not load.is_open
        assert not load.is_probing


def test_over_the_cap_one_waits_for_a_place_or_goes_without() -> None:
    async def work() -> None:
        load = EndpointLoad()
        assert [await load.enter(0.01) for _ in range(5)] == [True] * 4 + [False]
        waiting = asyncio.ensure_future(load.enter(None))
        await asyncio.sleep(0)
        load.leave()
        assert await waiting
        assert load.in_flight_count == 4
        for _ in range(4):
            load.leave()
        assert load.in_flight_count == 0

    asyncio.run(work())


def test_a_place_given_to_one_who_is_cancelled_goes_to_the_next() -> None:
    async def work() -> None:
        load = EndpointLoad()
        for _ in range(4):
            await load.enter(None)
        first, second = (asyncio.ensure_future(load.enter(None)) for _ in range(2))
        await asyncio.sleep(0)
        load.leave()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert await asyncio.wait_for(second, 1)
        assert load.in_flight_count == 4

    asyncio.run(work())


def test_endpoints_without_a_story_are_forgotten() -> None:
    loads = EndpointLoads()
    loads.of("end_bad").failed()
    for number in range(loads.FORGET_OVER + 1):
        loads.of(f"end_{number}")
    assert loads.of("end_bad").cap == 1
    assert len(loads._loads) < 10
