"""`python -m connector`, started and killed as an operator's supervisor would."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from mailchute.delivery import AttemptOutcome, AttemptRequest

from tests.servers.nats import NatsServer
from tests.unit.connector.rooms import eventually, house, mail_for, outcome, process


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def is_ready(port: int) -> bool:
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(f"http://127.0.0.1:{port}/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False


def test_it_waits_for_nats_delivers_and_ends_with_0_on_sigterm(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, is_running=False, port=free_port()) as built:
            nats_server.kill9()
            async with process(built.settings) as connector:
                await asyncio.sleep(0.5)
                nats_server.restart()
                await eventually(lambda: is_ready(built.settings.port))
                await eventually(lambda: built.publisher.client.is_connected)
                await built.accept(mail_for("end_a"))
                await eventually(lambda: built.functions.of_kind("delivered"))
                connector.terminate()
                assert await connector.wait() == 0

    run(work)


def test_it_ends_with_0_on_sigterm_while_nats_is_away(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with (
            house(nats_server, is_running=False, port=free_port()) as built,
            process(built.settings) as connector,
        ):
            await eventually(lambda: is_ready(built.settings.port))
            nats_server.kill9()
            connector.terminate()
            assert await connector.wait() == 0

    run(work)


@pytest.mark.parametrize("victim", ["connector", "nats", "both"])
def test_killed_at_any_instant_nothing_is_lost(nats_server: NatsServer, victim: str) -> None:
    mail_count = 120

    async def work() -> None:
        async with house(nats_server, is_running=False, ack_wait_s=1.0) as built:
            functions = built.functions

            async def slowly(_: AttemptRequest) -> AttemptOutcome:
                await asyncio.sleep(0.05)
                return outcome()

            functions.endpoints["end_a"] = slowly
            mails = [mail_for("end_a", "end_b") for _ in range(mail_count)]
            for mail in mails:
                await built.accept(mail)
            for kill_after in (5, 60, 150):
                async with process(built.settings):
                    await eventually(lambda n=kill_after: len(functions.posts) > n)
                    if victim != "connector":
                        nats_server.restart()
                        await asyncio.sleep(0.2)
                    if victim == "nats":
                        await eventually(lambda n=kill_after: len(functions.posts) > n + 5)
            await eventually(lambda: built.publisher.client.is_connected)
            async with process(built.settings):
                wanted = {(end, mail.id) for mail in mails for end in ("end_a", "end_b")}
                await eventually(lambda: wanted <= set(functions.posts))
                await eventually(lambda: len(functions.of_kind("delivered")) == 2 * mail_count)
                # What a killed server left behind is put back when it was seen twice, ten seconds apart.
                await eventually(built.is_quiet, within_s=60)
            assert not await built.dead()

    run(work)
