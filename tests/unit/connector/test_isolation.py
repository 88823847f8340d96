"""Endpoints in trouble are nobody else's, in small; `python -m bench.isolation` gives the figures."""

from __future__ import annotations

import asyncio
import itertools

from mailchute import subjects
from mailchute.delivery import AttemptOutcome, AttemptRequest

from tests.servers.nats import NatsServer
from tests.unit.connector.rooms import eventually, house, mail_for, outcome

MAILS_EACH = 5


def test_a_hundred_endpoints_that_hang_do_not_hold_up_a_healthy_one(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, gaps_s=(0, 3_600)) as built:
            released = asyncio.Event()

            async def hangs(_: AttemptRequest) -> AttemptOutcome:
                await released.wait()
                return outcome("failed", None)

            names = [f"end_hang{number}" for number in range(100)]
            built.functions.endpoints |= dict.fromkeys(names, hangs)
            hanging = [mail_for(name) for name in names for _ in range(MAILS_EACH)]
            healthy = [mail_for("end_good") for _ in range(100)]
            for pair in itertools.zip_longest(hanging, healthy):
                for mail in pair:
                    if mail is not None:
                        await built.accept(mail)
            wanted = {("end_good", mail.id) for mail in healthy}
            await eventually(lambda: wanted <= set(built.functions.posts), within_s=60)
            released.set()

    asyncio.run(work())


def test_many_endpoints_in_trouble_get_everything_once_they_are_back(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, gaps_s=(0, 0.5, 1, 2, 4, 8, 16, 32, 64)) as built:
            is_back = False
            got: list[str] = []

            async def flips(request: AttemptRequest) -> AttemptOutcome:
                if not is_back:
                    return outcome("failed", 500)
                got.append(request.delivery.mail_id)
                return outcome()

            names = [f"end_{number}" for number in range(40)]
            built.functions.endpoints |= dict.fromkeys(names, flips)
            mails = [mail_for(name) for name in names for _ in range(MAILS_EACH)]
            for mail in mails:
                await built.accept(mail)
            await eventually(lambda: set(built.pipeline.lanes.lanes) >= set(names), within_s=60)
            is_back = True
            await eventually(lambda: len(built.functions.of_kind("delivered")) == len(mails), within_s=90)
            await eventually(built.is_quiet, within_s=60)
            assert sorted(got) == sorted(mail.id for mail in mails)  # each once
            assert await built.count(subjects.DEAD) == 0

    asyncio.run(work())
