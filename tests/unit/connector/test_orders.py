"""Commands, through the connector's door as api sends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from connector.door import Door
from connector.endpoint import BREAKER_FAILURES
from connector.leaks import states
from mailchute import subjects, wire
from mailchute.commands import Command, CommandDone, replay_command
from mailchute.delivery import AttemptOutcome, AttemptRequest
from mailchute.errors import ContentMissing
from mailchute.objects import read_object, write_object

from tests.servers.nats import NatsServer
from tests.unit.connector.rooms import TOKEN, House, eventually, house, mail_for, outcome

RUN = "run_01KAJ000000000000000000000"


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


def test_a_run_of_many_mails_is_one_run_and_each_mail_of_it_is_new_work(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built, door_of(built) as url:
            mails = [mail_for("end_a", "end_b") for _ in range(2)]
            sequences = [await built.accept(mail) for mail in mails]
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 4)
            orders = [
                replay_command(mail.id, sequence, run=RUN, endpoint_id=endpoint)
                for mail, sequence in zip(mails, sequences, strict=True)
                for endpoint in ("end_a", "end_b")
            ]
            for _ in range(2):
                answers = await asyncio.gather(
                    *(order(url, **msgspec.structs.asdict(each)) for each in orders)
                )
                assert [status for status, _ in answers] == [200] * 4
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 8)
            await eventually(built.is_quiet)
            assert len(built.functions.posts) == 8
            told = built.functions.of_kind("parsed")
            assert sorted(each.endpoint_ids for each in told if each.run == RUN) == [
                ("end_a",), ("end_a",), ("end_b",), ("end_b",),
            ]  # fmt: skip

    run(work)


def test_a_replay_that_is_diverted_is_not_swallowed(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, gaps_s=(0, 0.2, 0.2, 5, 5)) as built, door_of(built) as url:
            mail = mail_for("end_a")
            sequence = await built.accept(mail)
            await eventually(lambda: built.functions.of_kind("delivered"))
            load = built.pipeline.endpoints.of("end_a")
            for _ in range(BREAKER_FAILURES):
                load.failed()
            assert load.is_open
            replay = replay_command(mail.id, sequence, run=RUN)
            assert (await order(url, **msgspec.structs.asdict(replay)))[0] == 200
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 2)
            await eventually(built.is_quiet)
            assert len(built.functions.posts) == 2

    run(work)


def test_a_kick_does_not_wait_for_the_schedule_even_of_a_second_attempt(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, gaps_s=(0, 3_600)) as built, door_of(built) as url:
            built.functions.endpoints["end_a"] = fails
            await built.accept(mail_for("end_a"))
            await eventually(lambda: built.functions.of_kind("attempted"))
            del built.functions.endpoints["end_a"]
            assert (await order(url, id="cmd_k", kind="kick", endpoint_id="end_a"))[0] == 200
            await eventually(lambda: built.functions.of_kind("delivered"))
            await eventually(built.is_quiet)

    run(work)


def test_a_trial_goes_by_the_same_functions_and_leaves_no_trace(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built, door_of(built) as url:
            mail = mail_for("end_a", content=b"Subject: a test\r\n\r\nx", format="rfc822")
            wanted = {"id": "cmd_t", "kind": "test", "endpoint_id": "end_a", "mail": mail}
            for _ in range(2):  # it is made each time
                status, done = await order(url, **wanted)
                assert (status, done.outcome.status) == (200, 200)
            [first, _] = built.functions.requests
            assert (first.delivery.mail_id, first.delivery.format) == (mail.id, "rfc822")
            assert first.raw == mail.content
            _, done = await order(url, id="cmd_c", kind="challenge", endpoint_id="end_a", challenge="so?")
            assert done.outcome.result == "delivered"
            assert built.functions.requests[-1].challenge == "so?"
            assert built.functions.events == []
            assert [await built.count(each) for each in (subjects.MAIL, subjects.RETRY)] == [0, 0]
            for bad in ({"kind": "test", "endpoint_id": "end_a"}, {"kind": "test", "mail": mail}):
                assert (await order(url, id="cmd_b", **bad))[0] == 422
            built.functions.spoilt["parse"] = refuses
            assert (await order(url, **wanted))[0] == 422

    run(work)


async def refuses(_: bytes) -> aiohttp.web.Response:
    return aiohttp.web.json_response({"error": "never"}, status=422)
