"""Mail whose retention has ended leaves the streams, and only then is expire told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import aiohttp
import msgspec
import pytest
from connector.metrics import text_of
from mailchute import subjects
from mailchute.delivery import AttemptOutcome, AttemptRequest
from mailchute.errors import ContentMissing
from mailchute.expiring import DueMail
from mailchute.jetstream import StreamUnavailable
from mailchute.objects import read_object, write_object

from tests.servers.nats import NatsServer
from tests.unit.connector.rooms import House, eventually, house, mail_for, outcome, replaced
from tests.unit.connector.test_orders import door_of, order


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())


def due(mail_id: str, sequence: int | None, *, was_dead: bool = False) -> DueMail:
    return DueMail(
        mail_id=mail_id, mail_sequence=sequence, expires_at=datetime.now(UTC), has_dead_records=was_dead
    )


async def ends(_: AttemptRequest) -> AttemptOutcome:
    return outcome("gone", 410)


async def looked(built: House) -> None:
    await built.pipeline.expiry.look()


def test_what_is_due_leaves_mail_content_and_dead_and_the_rest_stays(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            built.functions.endpoints["end_b"] = ends
            ref = await write_object(built.publisher, "msg_big", b"x" * 10)
            first, dead, kept = mail_for("end_a", content=ref), mail_for("end_b"), mail_for("end_b")
            sequences = [await built.accept(each) for each in (first, dead, kept)]
            await eventually(lambda: len(built.functions.of_kind("dead")) == 2)
            await eventually(built.is_quiet)
            built.functions.due = [
                due(first.id, sequences[0]),
                due(dead.id, sequences[1], was_dead=True),
                due("msg_unknown", None),
            ]
            await looked(built)
            assert sorted(built.functions.erased) == sorted([first.id, dead.id, "msg_unknown"])
            assert await built.count(subjects.MAIL) == 1
            assert [each.mail_id for each in await built.dead()] == [kept.id]
            with pytest.raises(ContentMissing):
                await read_object(built.publisher.client, ref)
            assert "mailchute_mail_expired_total 3" in text_of(built.pipeline, [])
            assert "mailchute_expiry_oldest_due_s 0.0" in text_of(built.pipeline, [])

    run(work)


def test_another_mail_at_the_sequence_is_not_touched_and_a_repetition_goes_on(
    nats_server: NatsServer,
) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            mail = mail_for("end_a")
            sequence = await built.accept(mail)
            built.functions.due = [due("msg_other", sequence), due("msg_gone", 99)]
            await looked(built)
            assert built.functions.erased == ["msg_other", "msg_gone"]
            assert await built.count(subjects.MAIL) == 1

    run(work)


def test_while_expire_or_nats_is_away_nothing_is_told_and_it_goes_on_later(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, expire_interval_s=0.2) as built:

            async def away(_: bytes) -> aiohttp.web.Response:
                return aiohttp.web.json_response({}, status=502)

            built.functions.spoilt["expire"] = away
            mail = mail_for("end_a")
            sequence = await built.accept(mail)
            built.functions.due = [due(mail.id, sequence)]
            await eventually(lambda: built.functions.calls["expire"] > 1)
            assert await built.count(subjects.MAIL) == 1
            nats_server.pause()
            del built.functions.spoilt["expire"]
            with pytest.raises(StreamUnavailable):
                await built.count(subjects.MAIL)
            assert built.functions.erased == []
            nats_server.resume()
            await eventually(lambda: built.functions.erased == [mail.id])
            assert await built.count(subjects.MAIL) == 0

    run(work)


def test_what_no_end_is_ever_told_of_is_swept_by_age_but_not_what_was_replayed(
    nats_server: NatsServer,
) -> None:
    async def work() -> None:
        async with house(nats_server) as built, door_of(built) as url:
            day_s = 86_400
            lost, replayed, long_kept = mail_for("end_a"), mail_for("end_a"), mail_for("end_a")
            alias = msgspec.structs.replace(long_kept.alias, retention_s=90 * day_s)
            sequences = [
                await built.accept(each) for each in (lost, replayed, replaced(long_kept, alias=alias))
            ]
            await built.publisher.publish(subjects.MAIL_ACCEPTED, b"\xc1", stream=subjects.MAIL)
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 3)
            again = {"kind": "replay", "mail_id": replayed.id, "mail_sequence": sequences[1]}
            assert (await order(url, id="run_1", **again))[0] == 200
            await eventually(built.is_quiet)
            expiry, now = built.pipeline.expiry, datetime.now(UTC)
            assert await expiry.sweep(now + timedelta(days=14)) == 0
            assert await expiry.sweep(now + timedelta(days=16)) == 2  # the lost one, and what is no mail
            assert await built.count(subjects.MAIL) == 2
            assert await expiry.sweep(now + timedelta(days=92)) == 1

    run(work)


def test_mail_that_was_not_worked_on_is_never_swept(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:

            async def away(_: bytes) -> aiohttp.web.Response:
                return aiohttp.web.json_response({}, status=502)

            built.functions.spoilt["parse"] = away
            await built.accept(mail_for("end_a"))
            await eventually(lambda: built.functions.calls["parse"])
            assert await built.pipeline.expiry.sweep(datetime.now(UTC) + timedelta(days=400)) == 0
            assert await built.count(subjects.MAIL) == 1

    run(work)
