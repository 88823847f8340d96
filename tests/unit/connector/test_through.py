"""Mode through, from the question on core NATS to its answer: real JetStream, functions written by hand."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from aiohttp import web
from connector.claims import Claim, Claims, HeldElsewhere
from connector.metrics import text_of
from connector.through import ALIAS_SLOTS
from connector.told import NOWHERE
from mailchute import subjects, wire
from mailchute.alias import EndpointSnapshot
from mailchute.commands import Command
from mailchute.delivery import AttemptOutcome, AttemptRequest
from mailchute.errors import ContentMissing
from mailchute.journal import Event
from mailchute.mail import MailObject
from mailchute.objects import write_object
from mailchute.stored import read_stored
from mailchute.through import PROGRESS, ThroughAnswer, ThroughRequest
from nats.aio.msg import Msg
from nats.errors import NoRespondersError

from tests.servers.nats import NatsServer
from tests.unit.connector.rooms import (
    House,
    eventually,
    house,
    mail_for,
    outcome,
    process,
    replaced,
    running,
)

LEFT_S = 55.0


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())


def through(*endpoint_ids: str, alias_id: str = "als_1", **more: Any) -> MailObject:
    mail = mail_for(*(endpoint_ids or ("end_a",)), **more)
    alias = msgspec.structs.replace(mail.alias, mode="through", alias_id=alias_id)
    return replaced(mail, alias=alias)


def resent(mail: MailObject) -> MailObject:
    """The same mail from the same sender again, as the edge makes it: another id, the same fingerprint."""
    return replaced(through(*(each.id for each in mail.alias.endpoints)), fingerprint=mail.fingerprint)


async def ask(built: House, mail: MailObject, left_s: float = LEFT_S) -> ThroughAnswer:
    """Return the answer, as the edge would hear it, once a connector listens."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await ask_once(built, mail, left_s)
            except NoRespondersError:
                await asyncio.sleep(0.05)


async def ask_once(built: House, mail: MailObject, left_s: float = LEFT_S) -> ThroughAnswer:
    client = built.publisher.client
    inbox = client.new_inbox()
    answer: asyncio.Future[ThroughAnswer] = asyncio.get_running_loop().create_future()

    async def hear(message: Msg) -> None:
        if answer.done() or message.data == PROGRESS:
            return
        if (message.headers or {}).get("Status") == "503":
            answer.set_exception(NoRespondersError())
        else:
            answer.set_result(wire.decode(message.data, ThroughAnswer))

    subscription = await client.subscribe(inbox, cb=hear)
    try:
        request = wire.encode(ThroughRequest(mail=mail, left_s=left_s))
        await client.publish(subjects.THROUGH_MAIL, request, reply=inbox)
        async with asyncio.timeout(60):
            return await answer
    finally:
        await subscription.unsubscribe()


async def claim_of(built: House, mail: MailObject) -> Claim | None:
    subject = subjects.claim_subject_of(mail.fingerprint)
    stored = await read_stored(built.publisher.client, subjects.THROUGH, subject=subject)
    return None if stored is None else wire.decode(stored.body, Claim)


def told(built: House, kind: str) -> list[Event]:
    return built.functions.of_kind(kind)


def does(built: House, endpoint_id: str, *results: AttemptOutcome) -> None:
    """Let the endpoint do these things in turn; the last stays."""
    left = list(results)

    async def act(_: AttemptRequest) -> AttemptOutcome:
        found = left.pop(0) if len(left) > 1 else left[0]
        return msgspec.structs.replace(found, started_at=datetime.now(UTC))

    built.functions.endpoints[endpoint_id] = act


def test_a_2xx_is_delivered_told_and_leaves_nothing_on_a_stream(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            mail = through()
            assert await ask(built, mail) == ThroughAnswer(result="delivered", mail_id=mail.id)
            assert built.functions.posts == [("end_a", mail.id)]
            await eventually(lambda: told(built, "delivered"))
            kinds = ["accepted", "attempted", "delivered", "parsed"]
            assert sorted(each.kind for each in built.functions.events) == kinds
            assert told(built, "accepted")[0].mail_sequence == 0
            await eventually(built.is_quiet)
            for stream in (subjects.MAIL, subjects.DEAD, "OBJ_through", "OBJ_content"):
                assert await built.count(stream) == 0
            assert 'mailchute_through_answers_total{result="delivered"} 1' in text_of(built.pipeline, [])

    run(work)


@pytest.mark.parametrize(
    ("does_what", "result", "is_rejected"),
    [
        (outcome("gone", 410), "gone", True),
        (outcome("failed", 422), "declined", True),
        (outcome("failed", 500), "failed", False),
        (outcome("failed", 302), "failed", False),
        (outcome("failed", 429, retry_after_s=1.0), "failed", False),
        (outcome("failed", None), "silent", False),
    ],
    ids=["410", "422", "500", "302", "429", "no answer"],
)
def test_what_the_endpoint_says_is_what_the_client_hears(
    nats_server: NatsServer, does_what: AttemptOutcome, result: str, is_rejected: bool
) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            does(built, "end_a", does_what)
            mail = through()
            assert (await ask(built, mail)).result == result
            await eventually(lambda: told(built, "attempted"))
            [attempted] = told(built, "attempted")
            assert (attempted.attempt, attempted.mail_sequence) == (1, 0)
            assert attempted.summary is not None
            assert not told(built, "accepted")
            assert not told(built, "dead")
            assert [each.endpoint_id for each in told(built, "rejected")] == ["end_a"] * is_rejected
            assert await built.dead() == []

    run(work)


@pytest.mark.parametrize(
    ("more", "result"),
    [({"result": "refused", "reason": "it was deleted"}, "disabled"), ({"result": "failed"}, "away")],
)
def test_where_no_post_was_made_no_attempt_is_told(
    nats_server: NatsServer, more: dict[str, Any], result: str
) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            does(built, "end_a", outcome(status=None, is_unsent=True, **more))
            assert (await ask(built, through())).result == result
            assert built.functions.events == []

    run(work)


def test_a_rule_that_blocks_makes_no_post(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            built.functions.decision = "reject"
            assert (await ask(built, through())).result == "blocked"
            await eventually(lambda: told(built, "rejected"))
            [rejected] = told(built, "rejected")
            assert (rejected.endpoint_id, rejected.mail_sequence, rejected.retention_s) == (None, 0, 3_600)
            assert built.functions.posts == []

    run(work)


def test_a_resend_after_a_failure_is_posted_again_by_the_same_id_and_after_a_2xx_never(
    nats_server: NatsServer,
) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            does(built, "end_a", outcome("failed", 500), outcome())
            mail = through()
            assert (await ask(built, mail)).result == "failed"
            assert await ask(built, resent(mail)) == ThroughAnswer(result="delivered", mail_id=mail.id)
            for _ in range(3):
                assert await ask(built, resent(mail)) == ThroughAnswer(result="repeated", mail_id=mail.id)
            assert built.functions.posts == [("end_a", mail.id)] * 2
            await eventually(lambda: len(told(built, "duplicate")) == 3)
            assert [each.attempt for each in told(built, "attempted")] == [1, 2]
            assert len({each.delivery_id for each in told(built, "attempted")}) == 1
            assert {each.mail_id for each in built.functions.events} == {mail.id}

    run(work)


def test_a_resend_while_the_first_post_is_under_way_waits_for_its_answer(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            began, answers = asyncio.Event(), asyncio.Event()

            async def slowly(_: AttemptRequest) -> AttemptOutcome:
                began.set()
                await answers.wait()
                return outcome()

            built.functions.endpoints["end_a"] = slowly
            mail = through()
            first = asyncio.ensure_future(ask(built, mail))
            await began.wait()
            second = asyncio.ensure_future(ask(built, resent(mail)))
            await eventually(lambda: len(built.pipeline.through._jobs[mail.fingerprint].inboxes) == 2)
            answers.set()
            assert {(await first).result, (await second).result} == {"delivered"}
            assert built.functions.posts == [("end_a", mail.id)]

    run(work)


def test_two_connectors_post_one_mail_once_and_one_takes_over_from_a_dead_one(
    nats_server: NatsServer,
) -> None:
    async def work() -> None:
        async with house(nats_server) as built, running(built.settings) as other:
            answers = asyncio.Event()

            async def slowly(_: AttemptRequest) -> AttemptOutcome:
                await answers.wait()
                return outcome()

            built.functions.endpoints["end_a"] = slowly
            mail = through()
            both = (built.pipeline.through, other.through)
            asked = [asyncio.ensure_future(ask(built, resent(mail))) for _ in range(6)]
            await eventually(lambda: sum(len(j.inboxes) for t in both for j in t._jobs.values()) >= 6)
            answers.set()
            found = [await each for each in asked]
            assert {each.result for each in found} == {"delivered"}
            assert len(built.functions.posts) == 1

            dead = Claims(built.publisher, "run_dead")
            orphan = through()
            held = await dead.take(orphan)
            assert held.claim.owner == "run_dead"
            assert (await ask(built, resent(orphan))).mail_id == orphan.id
            with pytest.raises(HeldElsewhere):
                await dead.take(replaced(through(), fingerprint=(await claimed_by_the_living(built))))

    async def claimed_by_the_living(built: House) -> str:
        built.functions.endpoints["end_a"] = fails
        mail = through()
        assert (await ask(built, mail)).result == "failed"
        return mail.fingerprint

    async def fails(_: AttemptRequest) -> AttemptOutcome:
        return outcome("failed", 500)

    run(work)


def test_other_endpoints_are_owed_the_mail_like_any_once_and_only_after_a_2xx(
    nats_server: NatsServer,
) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            does(built, "end_a", outcome("failed", 503), outcome())
            mail = through("end_a", "end_b", "end_c")
            assert (await ask(built, mail)).result == "failed"
            assert await built.count(subjects.MAIL) == 0
            assert (await ask(built, resent(mail))).result == "delivered"
            assert await built.count(subjects.MAIL) == 1  # before the client hears 250
            assert (await ask(built, resent(mail))).result == "repeated"
            await eventually(lambda: len(told(built, "delivered")) == 3)
            await eventually(built.is_quiet)
            a, b, c = (("end_" + name, mail.id) for name in "abc")
            assert sorted(built.functions.posts) == [a, a, b, c]
            [accepted] = told(built, "accepted")
            assert accepted.mail_sequence == 1
            [parsed] = told(built, "parsed")
            assert parsed.endpoint_ids == ("end_b", "end_c")

    run(work)


def test_an_endpoint_that_a_rule_chose_answers_and_no_other_is_owed(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:

            async def routes(body: bytes) -> web.Response:
                answer = await built.functions._parse(body)
                return web.Response(body=wire.encode(msgspec.structs.replace(answer, endpoint_id="end_b")))

            built.functions.spoilt["parse"] = routes
            mail = through("end_a", "end_b")
            assert (await ask(built, mail)).result == "delivered"
            assert (await ask(built, resent(mail))).result == "repeated"
            await eventually(built.is_quiet)
            assert built.functions.posts == [("end_b", mail.id)]
            assert await built.count(subjects.MAIL) == 0

    run(work)


def test_the_verdict_that_its_sender_heard_stands_for_the_other_endpoints(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            answers = asyncio.Event()

            async def and_the_rules_change(_: AttemptRequest) -> AttemptOutcome:
                built.functions.decision = "reject"
                answers.set()
                return outcome()

            built.functions.endpoints["end_a"] = and_the_rules_change
            assert (await ask(built, through("end_a", "end_b"))).result == "delivered"
            await eventually(lambda: len(told(built, "delivered")) == 2)
            assert not told(built, "rejected")

    run(work)


def test_what_was_not_kept_is_not_replayed_and_can_be_erased(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            mail = through()
            assert (await ask(built, mail)).result == "delivered"
            replay = Command(id="run_1", kind="replay", mail_id=mail.id, mail_sequence=NOWHERE)
            with pytest.raises(ContentMissing, match="its sender has it"):
                await built.pipeline.orders.carry_out(replay)
            erase = Command(id="cmd_1", kind="erase", mail_id=mail.id, mail_sequence=NOWHERE)
            assert not (await built.pipeline.orders.carry_out(erase)).repeated
            assert built.functions.posts == [("end_a", mail.id)]

    run(work)


def test_killed_between_the_2xx_and_what_others_are_owed_the_resend_makes_up_for_it(
    nats_server: NatsServer,
) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            mail = through("end_a", "end_b")
            claims = Claims(built.publisher, "run_dead")
            held = await claims.take(mail)
            await claims.keep(
                mail.fingerprint,
                msgspec.structs.replace(held.claim, state="answered", endpoint_id="end_a", is_kept=True),
            )
            for _ in range(2):
                assert (await ask(built, resent(mail))).result == "repeated"
            await eventually(lambda: told(built, "delivered"))
            await eventually(built.is_quiet)
            assert built.functions.posts == [("end_b", mail.id)]
            assert {each.endpoint_id for each in told(built, "delivered")} == {"end_a", "end_b"}
            claim = await claim_of(built, mail)
            assert claim is not None
            assert claim.state == "over"

    run(work)


def test_big_and_raw_content_goes_through_and_on_to_others(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            octets = b"Subject: x\r\n\r\n" + b"x" * 3_000_000
            ref = await write_object(built.publisher, "big", octets)
            mail = through("end_a", "end_b", content=ref, format="rfc822")
            assert (await ask(built, mail)).result == "delivered"
            await eventually(lambda: len(built.functions.requests) == 2)
            assert all(request.raw == octets for request in built.functions.requests)
            raw = EndpointSnapshot(id="end_a", include=("raw",))
            mail = through(content=octets[:100])
            alias = msgspec.structs.replace(mail.alias, endpoints=(raw,))
            assert (await ask(built, replaced(mail, alias=alias))).result == "delivered"
            assert built.functions.requests[-1].raw == octets[:100]

    run(work)


@pytest.mark.parametrize("name", ["scan", "parse", "deliver"])
def test_a_function_that_is_away_is_away_in_seconds_and_nothing_is_told(
    nats_server: NatsServer, name: str
) -> None:
    async def work() -> None:
        async with house(nats_server) as built:

            async def away(_: bytes) -> web.Response:
                return web.Response(status=503, text="no such function now")

            built.functions.spoilt[name] = away
            assert (await ask(built, through())).result == "away"
            assert built.functions.events == []
            assert built.functions.posts == []

    run(work)


def test_what_no_function_can_ever_work_on_is_unreadable_and_what_breaks_parse_is_degraded(
    nats_server: NatsServer,
) -> None:
    async def work() -> None:
        async with house(nats_server) as built:

            async def never(_: bytes) -> web.Response:
                return web.Response(status=422, body=b'{"error":"no"}')

            built.functions.spoilt["parse"] = never
            assert (await ask(built, through())).result == "unreadable"
            assert await built.dead() == []

            async def breaks(body: bytes) -> web.Response | None:
                if b"degraded\xc0" in body:
                    raise ConnectionResetError
                return None

            built.functions.spoilt["parse"] = breaks
            assert (await ask(built, through())).result in ("delivered", "away")

    run(work)


def test_an_open_breaker_says_so_at_once_and_closes_by_a_probe(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            does(built, "end_a", *[outcome("failed", 500)] * 5, outcome())
            for _ in range(5):
                assert (await ask(built, through())).result == "failed"
            for _ in range(3):
                assert (await ask(built, through())).result == "silent"
            assert len(built.functions.posts) == 5
            load = built.pipeline.endpoints.of("end_a")
            await eventually(lambda: not load.is_open)
            assert (await ask(built, through())).result == "delivered"
            assert not load.is_probing

    run(work)


def test_nobody_waits_for_a_probe_and_an_endpoint_is_asked_at_its_pace(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            does(built, "end_a", *[outcome("failed", 500)] * 5, outcome())
            for _ in range(5):
                await ask(built, through())
            load = built.pipeline.endpoints.of("end_a")
            answers = asyncio.Event()

            async def hangs(_: AttemptRequest) -> AttemptOutcome:
                await answers.wait()
                return outcome(rate_per_s=0.01)

            built.functions.endpoints["end_a"] = hangs
            await eventually(lambda: not load.is_open)
            probe = asyncio.ensure_future(ask(built, through()))
            await eventually(lambda: load.in_flight_count == 1)
            assert (await ask(built, through())).result == "silent"
            answers.set()
            assert (await probe).result == "delivered"
            await ask(built, through())  # the first turn is free
            assert (await ask(built, through())).result == "busy"

    run(work)


def test_a_422_is_an_answer_and_opens_no_breaker(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            does(built, "end_a", outcome("failed", 422))
            for _ in range(8):
                assert (await ask(built, through())).result == "declined"

    run(work)


def test_hanging_endpoints_leave_room_for_others_and_async_mail_does_not_feel_them(
    nats_server: NatsServer,
) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            answers = asyncio.Event()

            async def hangs(_: AttemptRequest) -> AttemptOutcome:
                await answers.wait()
                return outcome("failed", None)

            asked = []
            for number in range(100):
                built.functions.endpoints[f"end_{number}"] = hangs
                mail = through(f"end_{number}", alias_id=f"als_{number}")
                asked.append(asyncio.ensure_future(ask(built, mail)))
            await eventually(lambda: len(built.functions.posts) == 100)
            # One alias more: its own share of the slots, and no more.
            built.functions.endpoints["end_z"] = hangs
            more = [
                asyncio.ensure_future(ask(built, through("end_z", alias_id="als_z")))
                for _ in range(ALIAS_SLOTS + 5)
            ]
            await eventually(lambda: sum(each.done() for each in more) == 5)
            assert {each.result() for each in more if each.done()} == {
                ThroughAnswer(result="busy", mail_id=each.result().mail_id) for each in more if each.done()
            }
            assert built.pipeline.endpoints.slow_count == 0  # async counts what is slow, and diverts
            for _ in range(20):
                await built.accept(mail_for("end_async"))
            await eventually(lambda: len(told(built, "delivered")) == 20)
            assert (await ask(built, through("end_b", alias_id="als_b"))).result == "delivered"
            answers.set()
            assert {(await each).result for each in asked} == {"silent"}
            await asyncio.gather(*more)

    run(work)


def test_over_the_slots_the_client_is_told_so(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, through_slots=2) as built:
            answers = asyncio.Event()

            async def hangs(_: AttemptRequest) -> AttemptOutcome:
                await answers.wait()
                return outcome()

            built.functions.endpoints["end_a"] = hangs
            asked = [asyncio.ensure_future(ask(built, through())) for _ in range(2)]
            await eventually(lambda: built.pipeline.through.in_hand_count == 2)
            assert (await ask(built, through())).result == "busy"
            answers.set()
            assert [(await each).result for each in asked] == ["delivered"] * 2

    run(work)


def test_no_post_is_begun_that_could_not_end_in_time(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            assert (await ask(built, through(), left_s=2.5)).result in ("away", "busy")
            assert built.functions.posts == []
            began_at = datetime.now(UTC)
            assert (await ask(built, through(), left_s=9.0)).result == "delivered"
            deadline_at = built.functions.requests[0].deadline_at
            assert deadline_at is not None
            assert (deadline_at - began_at).total_seconds() < 9.0

    run(work)


def test_without_a_connector_nobody_responds(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, is_running=False) as built:
            with pytest.raises(NoRespondersError):
                await ask_once(built, through())

    run(work)


def test_what_is_no_question_is_answered_too(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            client = built.publisher.client
            assert (await ask(built, through())).result == "delivered"
            for garbage in (b"\xc1", b"not a question", wire.encode({"version": 99})):
                message = await client.request(subjects.THROUGH_MAIL, garbage, timeout=20)
                assert wire.decode(message.data, ThroughAnswer).result == "away"
            assert (await ask(built, through())).result == "delivered"

    run(work)


def test_draining_ends_what_is_in_hand_and_begins_nothing(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, is_running=False) as built:
            began, answers = asyncio.Event(), asyncio.Event()

            async def slowly(_: AttemptRequest) -> AttemptOutcome:
                began.set()
                await answers.wait()
                return outcome()

            built.functions.endpoints["end_a"] = slowly
            asyncio.get_running_loop().call_later(1.0, answers.set)
            async with running(built.settings):
                await asyncio.sleep(0.2)
                asked = asyncio.ensure_future(ask(built, through()))
                await began.wait()
            assert (await asked).result == "delivered"
            with pytest.raises(NoRespondersError):
                await ask_once(built, through())

    run(work)


def test_the_connector_killed_in_mid_post_the_resend_posts_again_by_the_same_id(
    nats_server: NatsServer,
) -> None:
    async def work() -> None:
        async with house(nats_server, is_running=False) as built:
            never = asyncio.Event()

            async def hangs(_: AttemptRequest) -> AttemptOutcome:
                await never.wait()
                return outcome()

            built.functions.endpoints["end_a"] = hangs
            mail = through()
            async with process(built.settings) as connector:
                lost = asyncio.ensure_future(ask(built, mail))
                await eventually(lambda: built.functions.posts)
                connector.send_signal(signal.SIGKILL)
                await connector.wait()
                lost.cancel()
            del built.functions.endpoints["end_a"]
            async with running(dataclasses.replace(built.settings)):
                assert await ask(built, resent(mail)) == ThroughAnswer(result="delivered", mail_id=mail.id)
            assert built.functions.posts == [("end_a", mail.id)] * 2

    run(work)


def test_a_2xx_is_kept_before_it_is_told_even_when_nats_goes_away_meanwhile(
    nats_server: NatsServer,
) -> None:
    async def work() -> None:
        async with house(nats_server) as built:

            async def and_nats_dies(_: AttemptRequest) -> AttemptOutcome:
                await asyncio.to_thread(nats_server.kill9)
                return outcome()

            built.functions.endpoints["end_a"] = and_nats_dies
            mail = through()
            lost = asyncio.ensure_future(ask(built, mail))
            await eventually(lambda: built.functions.posts)
            await asyncio.sleep(1)
            await asyncio.to_thread(nats_server.start)
            await eventually(lambda: built.publisher.client.is_connected)
            lost.cancel()
            del built.functions.endpoints["end_a"]
            await eventually(lambda: built.pipeline.through.in_hand_count == 0)
            assert (await ask(built, resent(mail))).result == "repeated"
            assert built.functions.posts == [("end_a", mail.id)]

    run(work)
