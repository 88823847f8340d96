"""From MAIL to DELIVERY: what functions answer, and what then becomes of the mail."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from mailchute import subjects, wire
from mailchute.mail import ContentRef, MailObject
from mailchute.objects import delete_object, read_object, write_object
from mailchute.parsed import ParseRequest

from tests.servers.nats import NatsServer
from tests.unit.connector.rooms import eventually, house, mail_for, replaced

BIG = os.urandom(3 * 1024 * 1024)


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())


class BringsDown(web.Response):
    """Ends the connection in the middle, as a function that dies does."""

    async def prepare(self, request: web.BaseRequest) -> None:  # type: ignore[override]
        assert request.transport is not None
        request.transport.abort()


def refuses(status: int) -> Callable[[bytes], Awaitable[web.Response | None]]:
    async def spoil(_: bytes) -> web.Response:
        return web.json_response({"error": "no"}, status=status)

    return spoil


@pytest.mark.parametrize("name", ["scan", "parse"])
def test_422_is_dead_and_replayable(nats_server: NatsServer, name: str) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            built.functions.spoilt[name] = refuses(422)
            mail = mail_for("end_a")
            await built.accept(mail)
            await eventually(lambda: built.functions.of_kind("dead"))
            await eventually(built.is_quiet)
            (dead,) = await built.dead()
            assert (dead.stage, dead.mail_id, dead.reason) == (name, mail.id, f"{name}: no")
            assert wire.decode(dead.record, MailObject) == mail  # type: ignore[arg-type]
            assert built.functions.of_kind("accepted")

    run(work)


@pytest.mark.parametrize("status", [404, 429, 502, 503, 504])
def test_a_function_that_is_away_holds_up_nothing_for_good(nats_server: NatsServer, status: int) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            built.functions.spoilt["parse"] = refuses(status)
            for _ in range(20):
                await built.accept(mail_for("end_a"))
            await eventually(lambda: not built.pipeline.functions["parse"].is_there.is_set())
            del built.functions.spoilt["parse"]
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 20)
            assert not await built.dead()

    run(work)


def test_any_other_status_is_again_later_and_people_see_that_it_was_accepted(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            tries = 0

            async def once(_: bytes) -> web.Response | None:
                nonlocal tries
                tries += 1
                return web.json_response({"error": "a bug"}, status=500) if tries == 1 else None

            built.functions.spoilt["scan"] = once
            await built.accept(mail_for("end_a"))
            await eventually(lambda: built.functions.of_kind("accepted"))
            assert not built.functions.posts
            await eventually(lambda: built.functions.of_kind("delivered"))

    run(work)


def test_a_mail_that_brings_parse_down_is_parsed_degraded_and_hurts_no_other(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            poison = mail_for("end_a", content=b"POISON")
            crashes = 0

            async def crash(body: bytes) -> web.Response | None:
                nonlocal crashes
                request = wire.decode(body, ParseRequest)
                if request.mail.content == b"POISON" and request.degraded is None:
                    crashes += 1
                    return BringsDown()
                return None

            built.functions.spoilt["parse"] = crash
            mails = [mail_for("end_a") for _ in range(30)]
            for mail in [*mails[:15], poison, *mails[15:]]:
                await built.accept(mail)
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 31)
            degraded = [each for each in built.functions.parsed if each.degraded]
            assert [each.mail.id for each in degraded] == [poison.id]
            assert 3 <= crashes <= 4  # in a batch at first, perhaps; then three times alone

    run(work)


def test_a_mail_that_brings_parse_down_even_degraded_is_dead(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:

            async def crash(_: bytes) -> web.Response:
                return BringsDown()

            built.functions.spoilt["parse"] = crash
            await built.accept(mail_for("end_a"))
            await eventually(lambda: built.functions.of_kind("dead"))
            (dead,) = await built.dead()
            assert dead.stage == "parse"

    run(work)


def test_a_mail_that_brings_scan_down_goes_on_with_an_empty_report_that_says_so(
    nats_server: NatsServer,
) -> None:
    async def work() -> None:
        async with house(nats_server) as built:

            async def crash(_: bytes) -> web.Response:
                return BringsDown()

            built.functions.spoilt["scan"] = crash
            await built.accept(mail_for("end_a"))
            await eventually(lambda: built.functions.of_kind("delivered"))
            (request,) = built.functions.parsed
            assert request.report.security.limits == ("scan-failed",)
            assert request.report.auth.sender.authenticated is False

    run(work)


def test_octets_that_are_no_mail_object_are_dead_and_stop_nobody(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            await built.publisher.publish(subjects.MAIL_ACCEPTED, b"\xc1garbage", stream=subjects.MAIL)
            await built.accept(mail_for("end_a"))
            await eventually(lambda: built.functions.of_kind("delivered"))
            await eventually(built.dead)
            (dead,) = await built.dead()
            assert (dead.record, dead.mail_id) == (b"\xc1garbage", "")

    run(work)


def test_a_record_of_a_newer_release_waits_for_the_upgrade(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            body = wire.encode(replaced(mail_for("end_a"), version=99))
            await built.publisher.publish(subjects.MAIL_ACCEPTED, body, stream=subjects.MAIL)
            await built.accept(mail_for("end_a"))
            await eventually(lambda: built.functions.of_kind("delivered"))
            assert not await built.dead()
            assert not await built.is_quiet()

    run(work)


def test_content_that_is_a_reference_is_brought_along(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            ref = await write_object(built.publisher, "msg_big", BIG)
            built.functions.payload = BIG
            await built.accept(mail_for("end_a", "end_b", content=ref, format="rfc822"))
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 2)
            await eventually(built.is_quiet)
            assert built.functions.parsed[0].mail.content == BIG
            for request in built.functions.requests:
                assert (request.payload, request.raw) == (BIG, BIG)
                assert isinstance(request.delivery.payload, bytes)
            await eventually(lambda: built.pipeline.contents.held_octets == 0)
            assert await read_object(built.publisher.client, ref) == BIG  # the replay copy's
            info = await built.publisher.client.jetstream().stream_info("OBJ_content", subjects_filter=">")
            descriptions = [name for name in info.state.subjects if ".M." in name]
            assert len(descriptions) == 1  # the payloads' are given back

    run(work)


def test_an_endpoint_that_includes_raw_is_brought_the_mail(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            await built.accept(mail_for("end_a", content=b"a: b\r\n\r\nc", include=("raw", "text")))
            await built.accept(mail_for("end_b", content=b"a: b\r\n\r\nd", include=("text",)))
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 2)
            brought = {each.delivery.endpoint_id: each.raw for each in built.functions.requests}
            assert brought == {"end_a": b"a: b\r\n\r\nc", "end_b": None}

    run(work)


def test_content_that_is_gone_is_dead_with_a_reason_not_forgotten(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            ref = await write_object(built.publisher, "msg_big", b"x")
            await delete_object(built.publisher.client, ref)
            stage = built.pipeline
            assert stage is not None
            mail = mail_for("end_a", content=ref)
            await built.accept(mail)
            await eventually(lambda: built.functions.of_kind("dead"), within_s=60)
            (dead,) = await built.dead()
            assert "gone" in dead.reason
            assert isinstance(wire.decode(dead.record, MailObject).content, ContentRef)  # type: ignore[arg-type]

    run(work)


def test_a_mail_that_a_rule_rejects_is_owed_to_nobody(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            built.functions.decision = "reject"
            await built.accept(mail_for("end_a"))
            await eventually(lambda: built.functions.of_kind("rejected"))
            await eventually(built.is_quiet)
            assert not built.functions.posts

    run(work)


def test_while_the_database_is_away_mail_flows_and_the_journal_waits(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            built.functions.spoilt["record"] = refuses(503)
            for _ in range(10):
                await built.accept(mail_for("end_a"))
            await eventually(lambda: len(built.functions.posts) == 10)
            await eventually(lambda: not built.pipeline.pulls[subjects.DELIVERY].in_hand_count)
            assert not built.functions.events
            del built.functions.spoilt["record"]
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 10)
            await eventually(built.is_quiet)

    run(work)
