"""What lies in the Object Store goes once nothing can refer to it: not while a mail as old lies on MAIL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from mailchute.errors import ContentMissing
from mailchute.objects import read_object, write_object
from mailchute.stored import remove_stored
from mailchute.subjects import MAIL

from tests.servers.nats import NatsServer
from tests.unit.connector.rooms import eventually, house, mail_for

FAR = timedelta(days=400)


def test_content_stays_as_long_as_a_mail_of_its_age(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server) as built:
            ref = await write_object(built.publisher, "msg_big", b"x" * 300_000)
            sequence = await built.accept(mail_for("end_a", content=ref))
            await eventually(built.is_quiet)
            sweeper = built.pipeline.sweeper
            assert await sweeper.sweep(datetime.now(UTC) + FAR) == 0
            assert await read_object(built.publisher.client, ref) == b"x" * 300_000
            assert await remove_stored(built.publisher.client, MAIL, sequence)
            assert await sweeper.sweep(datetime.now(UTC) + FAR) == 1
            with pytest.raises(ContentMissing):
                await read_object(built.publisher.client, ref)

    asyncio.run(work())
