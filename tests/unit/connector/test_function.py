"""Calling a function that may be idle, busy, away, or brought down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from connector.answer import AWAY
from connector.batch import FunctionAnswer
from connector.function import REFUSALS_MAX, Function, FunctionAway, FunctionBroke
from mailchute import wire

from tests.unit.connector.rooms import eventually


class Served:
    """A function whose behaviour is a coroutine over one value."""

    def __init__(self) -> None:
        self.batches: list[int] = []  # how many values each call brought
        self.work: Callable[[bytes], Awaitable[FunctionAnswer]] = self.echo
        self.status = 200  # of whole calls
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def echo(self, body: bytes) -> FunctionAnswer:
        return FunctionAnswer(200, body)

    async def start(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.add_routes([web.post("/", self.serve)])
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        is_batch = request.content_type == wire.BATCH
        values = wire.decode(body, list[bytes]) if is_batch else [body]
        self.batches.append(len(values))
        if self.status != 200:
            return web.Response(status=self.status)
        if not is_batch:
            answer = await self.work(body)
            if answer.status == 0:
                assert request.transport is not None
                request.transport.abort()
            return web.Response(status=answer.status or 200, body=answer.body)
        stream = web.StreamResponse()
        await stream.prepare(request)

        async def one(index: int, value: bytes) -> None:
            answer = await self.work(value)
            if answer.status == 0:
                assert request.transport is not None
                request.transport.abort()
            await stream.write(wire.encode([index, answer.status, answer.body, answer.retry_after_s]))

        await asyncio.gather(*(one(i, value) for i, value in enumerate(values)), return_exceptions=True)
        return stream


@asynccontextmanager
async def calling(*, timeout_s: float = 10.0) -> AsyncIterator[tuple[Served, Function]]:
    served = Served()
    await served.start()
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{served.port}/"
        yield served, Function(session, "scan", url, token="t", timeout_s=timeout_s)
    await served.stop()


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())


def test_a_value_goes_at_once_and_by_itself_when_idle() -> None:
    async def work() -> None:
        async with calling() as (served, function):
            assert await function.call(b"a") == FunctionAnswer(200, b"a")
            assert served.batches == [1]

    run(work)


def test_under_load_values_ride_together_and_each_gets_its_own_answer() -> None:
    async def work() -> None:
        async with calling() as (served, function):
            bodies = [b"%d" % number for number in range(200)]
            answers = await asyncio.gather(*(function.call(body) for body in bodies))
            assert [answer.body for answer in answers] == bodies
            assert sum(served.batches) == 200
            assert len(served.batches) < 20

    run(work)


def test_large_values_do_not_ride_together() -> None:
    async def work() -> None:
        async with calling() as (served, function):
            await asyncio.gather(*(function.call(b"x" * 3_000_000) for _ in range(6)))
            assert max(served.batches) == 1

    run(work)


def test_a_slow_value_holds_up_no_other() -> None:
    async def work() -> None:
        async with calling() as (served, function):
            release = asyncio.Event()

            async def slow_for_x(body: bytes) -> FunctionAnswer:
                if body == b"x":
                    await release.wait()
                return FunctionAnswer(200, body)

            served.work = slow_for_x
            slow = [asyncio.ensure_future(function.call(b"x")) for _ in range(5)]
            for _ in range(3):
                await asyncio.gather(*(function.call(b"y") for _ in range(50)))
            assert not any(task.done() for task in slow)
            release.set()
            await asyncio.gather(*slow)

    run(work)


def test_a_function_that_is_down_is_waited_for_and_counts_against_no_value() -> None:
    async def work() -> None:
        async with calling() as (served, function):
            await served.stop()
            asked = asyncio.ensure_future(function.call(b"a"))
            await eventually(lambda: not function.is_there.is_set())
            await served.start()
            assert (await asked).body == b"a"

    run(work)


@pytest.mark.parametrize("status", sorted(AWAY))
def test_statuses_that_mean_away(status: int) -> None:
    async def work() -> None:
        async with calling() as (served, function):
            served.status = status
            asked = [asyncio.ensure_future(function.call(b"%d" % number)) for number in range(5)]
            await eventually(lambda: not function.is_there.is_set())
            served.status = 200
            assert {(await each).body for each in asked} == {b"0", b"1", b"2", b"3", b"4"}

    run(work)


def test_a_function_that_stays_away_is_given_up_on_after_a_while() -> None:
    async def work() -> None:
        async with calling() as (served, function):
            await served.stop()
            with pytest.raises(FunctionAway):
                await function.call(b"a", hold_s=0.2)

    run(work)


def test_silence_means_away() -> None:
    async def work() -> None:
        async with calling(timeout_s=0.1) as (served, function):

            async def hang(_: bytes) -> FunctionAnswer:
                await asyncio.sleep(5)
                return FunctionAnswer(200, b"")

            served.work = hang
            with pytest.raises(FunctionAway):
                await function.call(b"a", hold_s=0.1)

    run(work)


def test_a_batch_that_breaks_is_called_again_as_singles_and_only_the_culprit_hears_of_it() -> None:
    async def work() -> None:
        async with calling() as (served, function):

            async def bad_x(body: bytes) -> FunctionAnswer:
                return FunctionAnswer(0 if body == b"x" else 200, body)

            served.work = bad_x
            bodies = [b"a", b"b", *[b"%d" % number for number in range(20)], b"x"]
            answers = await asyncio.gather(*(function.call(body) for body in bodies), return_exceptions=True)
            assert isinstance(answers[-1], FunctionBroke)
            assert [a.body for a in answers if isinstance(a, FunctionAnswer)] == bodies[:-1]

    run(work)


def test_a_suspect_is_called_with_no_other_beside_it() -> None:
    async def work() -> None:
        async with calling() as (served, function):
            together: list[int] = []
            here = 0

            async def count(body: bytes) -> FunctionAnswer:
                nonlocal here
                here += 1
                await asyncio.sleep(0.02)
                if body == b"suspect":
                    together.append(here)
                here -= 1
                return FunctionAnswer(200, body)

            served.work = count
            others = [asyncio.ensure_future(function.call(b"a")) for _ in range(40)]
            await asyncio.sleep(0.005)
            await function.call(b"suspect", alone=True)
            others += [asyncio.ensure_future(function.call(b"a")) for _ in range(3)]
            await asyncio.gather(*others)
            assert together == [1]

    run(work)


def test_a_503_in_the_functions_own_words_is_about_the_value_until_nothing_else_is_heard() -> None:
    async def work() -> None:
        async with calling() as (served, function):
            words = b'{"error": "the storage of this account", "type": "StorageUnavailable"}'

            async def one_account(body: bytes) -> FunctionAnswer:
                return FunctionAnswer(503, words) if body == b"x" else FunctionAnswer(200, body)

            served.work = one_account
            for _ in range(20):
                assert (await function.call(b"x")).status == 503
                assert (await function.call(b"a")).status == 200
            assert function.is_there.is_set()
            for _ in range(REFUSALS_MAX):
                assert (await function.call(b"x")).status == 503
            with pytest.raises(FunctionAway):
                await function.call(b"x", hold_s=0)

    run(work)
