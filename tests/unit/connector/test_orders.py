"""Commands, through the connector's door as api sends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from connector.door import Door
from connector.leaks import states
from mailchute import subjects, wire
from mailchute.commands import Command, CommandDone
from mailchute.delivery import AttemptOutcome, AttemptRequest
from mailchute.errors import ContentMissing
from mailchute.objects import read_object, write_object

from tests.servers.nats import NatsServer
from tests.unit.connector.rooms import TOKEN, House, eventually, house, mail_for, outcome


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())


async def fails(_: AttemptRequest) -> AttemptOutcome:
    return outcome("failed", 500)


@asynccontextmanager
async def door_of(built: House) -> AsyncIterator[str]:
    door = Door(built.settings)
    await door.open()
    door.show(built.pipeline)
    try:
        yield f"http://127.0.0.1:{door.port}"
    finally:
        await door.close()


async def order(url: str, *, token: str = TOKEN, **command: Any) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": wire.MSGPACK}
    body = wire.encode(Command(**command))
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/commands", data=body, headers=headers) as response,
    ):
        answer = await response.read()
        return response.status, wire.decode(answer, CommandDone) if response.status == 200 else answer


def test_a_replay_is_new_work_even_within_the_duplicate_window_and_done_once(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built, door_of(built) as url:
            mail = mail_for("end_a", "end_b")
            sequence = await built.accept(mail)
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 2)
            replay = {"id": "cmd_1", "kind": "replay", "mail_id": mail.id, "mail_sequence": sequence}
            assert await order(url, **replay) == (200, CommandDone(id="cmd_1"))
            assert await order(url, **replay) == (200, CommandDone(id="cmd_1", repeated=True))
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 4)
            await eventually(built.is_quiet)
            assert len(built.functions.posts) == 4
            runs = {event.run for event in built.functions.of_kind("delivered")}
            assert runs == {"0", "cmd_1"}
            assert len(built.functions.of_kind("accepted")) == 1
            one = {**replay, "id": "cmd_2", "endpoint_id": "end_b"}
            assert (await order(url, **one))[0] == 200
            await eventually(lambda: built.functions.posts[4:] == [("end_b", mail.id)])

    run(work)


def test_a_mail_can_die_again_after_its_replay(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, gaps_s=(0, 0.1)) as built, door_of(built) as url:
            built.functions.endpoints["end_a"] = fails
            mail = mail_for("end_a")
            sequence = await built.accept(mail)
            await eventually(lambda: len(built.functions.of_kind("dead")) == 1)
            replay = {"id": "cmd_1", "kind": "replay", "mail_id": mail.id, "mail_sequence": sequence}
            assert (await order(url, **replay))[0] == 200
            await eventually(lambda: len(built.functions.of_kind("dead")) == 2)
            assert [(each.run, each.reason) for each in await built.dead()] == [
                ("0", "exhausted"),
                ("cmd_1", "exhausted"),
            ]
            await eventually(built.is_quiet)

    run(work)


def test_the_same_command_twice_at_once_does_its_work_once(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built, door_of(built) as url:
            mail = mail_for("end_a")
            sequence = await built.accept(mail)
            await eventually(lambda: built.functions.of_kind("delivered"))
            replay = {"id": "cmd_1", "kind": "replay", "mail_id": mail.id, "mail_sequence": sequence}
            answers = await asyncio.gather(order(url, **replay), order(url, **replay))
            assert sorted(answer.repeated for _, answer in answers) == [False, True]
            await eventually(built.is_quiet)
            assert len(built.functions.posts) == 2

    run(work)


def test_a_replay_while_parse_is_away_is_asked_for_again(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built, door_of(built) as url:
            mail = mail_for("end_a")
            sequence = await built.accept(mail)
            await eventually(lambda: built.functions.of_kind("delivered"))

            async def broken(_: bytes) -> aiohttp.web.Response:
                return aiohttp.web.json_response({"error": "x"}, status=500)

            built.functions.spoilt["parse"] = broken
            replay = {"id": "cmd_1", "kind": "replay", "mail_id": mail.id, "mail_sequence": sequence}
            assert (await order(url, **replay))[0] == 503
            del built.functions.spoilt["parse"]
            assert await order(url, **replay) == (200, CommandDone(id="cmd_1"))

    run(work)


def test_erasing_removes_the_mail_its_content_and_what_is_dead_or_owed_of_it(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, gaps_s=(0, 1.0, 3_600)) as built, door_of(built) as url:

            async def ends(_: AttemptRequest) -> AttemptOutcome:
                return outcome("gone", 410)

            built.functions.endpoints = {"end_a": fails, "end_b": ends}
            ref = await write_object(built.publisher, "msg_big", b"x" * 10)
            mail = mail_for("end_a", "end_b", content=ref)
            other = mail_for("end_b")
            sequence = await built.accept(mail)
            await built.accept(other)
            await eventually(lambda: len(built.functions.of_kind("dead")) == 2)
            await eventually(lambda: len(built.functions.posts) == 3)
            erase = {"id": "cmd_1", "kind": "erase", "mail_id": mail.id, "mail_sequence": sequence}
            assert (await order(url, **erase))[0] == 200
            await eventually(built.is_quiet)
            assert len(built.functions.posts) == 3  # what waited on the lane was dropped, not POSTed
            assert await built.count(subjects.MAIL) == 1
            assert [each.mail_id for each in await built.dead()] == [other.id]
            with pytest.raises(ContentMissing):
                await read_object(built.publisher.client, ref)
            replay = {"id": "cmd_2", "kind": "replay", "mail_id": mail.id, "mail_sequence": sequence}
            assert (await order(url, **replay))[0] == 404

    run(work)


@pytest.mark.parametrize(
    ("status", "command"),
    [
        (404, {"kind": "replay", "mail_id": "msg_1", "mail_sequence": 99}),
        (422, {"kind": "replay", "mail_id": "msg_1"}),
        (422, {"kind": "kick"}),
        (200, {"kind": "kick", "endpoint_id": "end_unknown"}),
        (200, {"kind": "resume", "endpoint_id": "end_unknown"}),
    ],
)
def test_what_a_command_lacks_is_said(nats_server: NatsServer, status: int, command: dict[str, Any]) -> None:
    async def work() -> None:
        async with house(nats_server) as built, door_of(built) as url:
            assert (await order(url, id="cmd_1", **command))[0] == status

    run(work)


def test_the_door_opens_only_to_the_internal_token_and_shows_health_and_metrics(
    nats_server: NatsServer,
) -> None:
    async def work() -> None:
        async with house(nats_server) as built, door_of(built) as url:
            assert (await order(url, token="another", id="cmd_1", kind="kick", endpoint_id="end_a"))[0] == 401
            await built.accept(mail_for("end_a"))
            await eventually(lambda: built.functions.of_kind("delivered"))
            await eventually(built.is_quiet)
            async with aiohttp.ClientSession() as session:
                for path in ("/healthz", "/readyz"):
                    async with session.get(url + path) as response:
                        assert response.status == 200
                async with session.get(url + "/metrics") as response:
                    text = await response.text()
            for stream in ("DELIVERY", "RETRY", "JOURNAL"):
                assert f'mailchute_stream_stranded{{stream="{stream}"}} 0' in text
            assert 'mailchute_stream_ack_floor{stream="MAIL"} 1' in text
            assert 'mailchute_function_calls_total{function="scan"} 1' in text

    run(work)


def test_a_message_in_nobodys_hands_shows_in_the_leak_check(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, is_running=False) as built:
            js = built.publisher.client.jetstream()
            await js.add_consumer(subjects.RETRY, durable_name="lane-end_b", filter_subject="retry.end_b")
            await built.publisher.publish("retry.end_a", b"", stream=subjects.RETRY)
            stranded = {state.name: state.stranded_count for state in await states(built.publisher.client)}
            assert stranded == {"MAIL": 0, "DELIVERY": 0, "RETRY": 1, "JOURNAL": 0, "NOTIFY": 0, "DEAD": 0}

    run(work)
