"""One timer per connection."""

import asyncio

from smtp_ingress.watchdog import Watchdog


def test_it_calls_when_the_last_moment_set_has_passed_and_not_before():
    async def work():
        loop = asyncio.get_running_loop()
        late = asyncio.Event()
        watchdog = Watchdog(loop, late.set, total_s=60)
        began_at = loop.time()
        watchdog.set(0.01)
        watchdog.set(0.05)
        await late.wait()
        assert loop.time() - began_at >= 0.049

    asyncio.run(work())


def test_nothing_reaches_beyond_the_end_of_the_session():
    async def work():
        late = asyncio.Event()
        watchdog = Watchdog(asyncio.get_running_loop(), late.set, total_s=0.02)
        watchdog.set(300)
        await late.wait()

    asyncio.run(work())


def test_a_shorter_time_counts_at_once():
    async def work():
        late = asyncio.Event()
        watchdog = Watchdog(asyncio.get_running_loop(), late.set, total_s=60)
        watchdog.set(30)
        watchdog.set(0.01)
        await late.wait()

    asyncio.run(work())


def test_stopped_it_never_calls():
    async def work():
        late = asyncio.Event()
        watchdog = Watchdog(asyncio.get_running_loop(), late.set, total_s=60)
        watchdog.set(0.01)
        watchdog.stop()
        watchdog.set(0.01)
        await asyncio.sleep(0.03)
        return late.is_set()

    assert not asyncio.run(work())
