"""An endpoint's own pace: even, and nobody else's."""

from __future__ import annotations

import asyncio
import time

from connector.pace import Pace
from mailchute import subjects
from mailchute.delivery import AttemptOutcome, AttemptRequest

from tests.servers.nats import NatsServer
from tests.unit.connector.rooms import eventually, house, mail_for, outcome


def test_turns_are_even_and_one_that_is_too_far_off_is_not_taken() -> None:
    now = 100.0
    pace = Pace(lambda: now)
    assert [pace.take(), pace.take(0)] == [0.0, 0.0]  # no limit is known
    pace.rate_per_s = 4.0
    assert [pace.take(0.25) for _ in range(4)] == [0.0, 0.25, None, None]
    assert pace.take() == 0.5  # a lane waits, however long
    now = 101.0
    assert pace.take(0.25) == 0.0
    now = 110.0
    assert [pace.take() for _ in range(3)] == [0.0, 0.25, 0.5]  # a quiet time saves up no burst
    pace.rate_per_s = None
    assert pace.take() == 0.0


def test_a_paced_endpoint_gets_everything_evenly_without_attempts_counted_and_delays_no_other(
    nats_server: NatsServer,
) -> None:
    posted_at: list[float] = []

    async def paced(_: AttemptRequest) -> AttemptOutcome:
        posted_at.append(time.monotonic())
        return outcome(rate_per_s=20.0)

    async def work() -> None:
        async with house(nats_server, gaps_s=(0, 3_600)) as built:
            built.functions.endpoints["end_paced"] = paced
            await built.accept(mail_for("end_paced"))
            await eventually(lambda: built.pipeline.endpoints.of("end_paced").pace.rate_per_s)
            for _ in range(30):
                await built.accept(mail_for("end_paced"))
            healthy = [mail_for("end_good") for _ in range(30)]
            for mail in healthy:
                await built.accept(mail)
            wanted = {("end_good", mail.id) for mail in healthy}
            await eventually(lambda: wanted <= set(built.functions.posts))
            assert len(posted_at) < 31  # the others did not wait for these
            await eventually(lambda: len(built.functions.of_kind("delivered")) == 61)
            await eventually(built.is_quiet)
            assert await built.count(subjects.DEAD) == 0
            assert {event.attempt for event in built.functions.of_kind("attempted")} == {1}

    asyncio.run(work())
    assert len(posted_at) == 31
    # 29 turns at 20 a second; half of it, for a machine that stood still at the first.
    assert posted_at[-1] - posted_at[1] > 0.5 * 29 / 20
