"""The retry schedule goes by age: whatever is killed, paused or started anew, it costs and adds nothing."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from itertools import accumulate

import pytest
from mailchute.schedule import EARLY, JITTER, offsets_of

from tests.e2e.system import System
from tests.e2e.test_faults import content
from tests.servers.sink import Sink

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.slow]

GAPS_S = (0.0, 4.0, 5.0, 6.0, 20.0, 15.0)  # within the fifth all of `up` ends and starts again
SETTINGS = {
    "MAILCHUTE_RETRY_SCHEDULE": ",".join(f"{gap_s:g}" for gap_s in GAPS_S),
    "MAILCHUTE_ACK_WAIT_S": "5",
}
WITHIN_S = 90.0


def killed(system: System, *names: str) -> None:
    for name in names:
        for pid in system.pids(name):
            os.kill(pid, signal.SIGKILL)


def paused(system: System, *names: str) -> None:
    pids = [pid for name in names for pid in system.pids(name)]
    for which in (signal.SIGSTOP, signal.SIGCONT):
        for pid in pids:
            os.kill(pid, which)


def restarted(system: System) -> None:
    assert system.stop() == 0
    system.start()


# What happens once the n-th POST has come.
STORIES: tuple[Callable[[System], None], ...] = (
    lambda system: killed(system, "connector"),
    lambda system: killed(system, "deliver", "record"),
    lambda system: (paused(system, "nats", "connector"), killed(system, "nats"))[0],
    restarted,
    lambda system: killed(system, "scan", "parse", "ingress", "s3"),
)


def test_the_nth_post_comes_at_the_nth_offset_through_crashes_pauses_and_restarts(
    new_system: Callable[..., System], sink: Sink
) -> None:
    system = new_system(**SETTINGS).start()
    sink.program("/support", 500)
    assert system.send(content("by-age"), "support@inbox.test")[1][0] == 250

    def is_over() -> bool:
        return rows(system, "select state from delivery") == [("dead",)]

    for count, happens in enumerate(STORIES, 1):
        system.until(lambda count=count: len(sink.posts("/support")) >= count or is_over(), WITHIN_S)
        happens(system)
    system.until(is_over, WITHIN_S)

    [(delivery_id,)] = rows(system, "select id from delivery")
    due_s = offsets_of(str(delivery_id), GAPS_S)
    for nominal_s, each_s in zip(accumulate(GAPS_S), due_s, strict=True):
        assert abs(each_s - nominal_s) <= JITTER * nominal_s
    # On a machine so slow that a part was away at a whole offset, the next POST counts as the later one.
    numbers = [
        int(str(number)) for (number,) in rows(system, "select number from attempt order by started_at")
    ]
    assert numbers == sorted(set(numbers)), "no offset had two"
    assert (numbers[0], numbers[-1]) == (1, len(GAPS_S))
    posts = sink.posts("/support")
    assert len(posts) == len(numbers), "none but these was made"
    came_s = [post.at - posts[0].at for post in posts]
    late_s = [came - due_s[number - 1] for came, number in zip(came_s, numbers, strict=True)]
    print("offsets", numbers, "late by", [f"{late:.2f} s" for late in late_s])
    assert min(late_s) > -EARLY * max(GAPS_S), "none was early"
    assert system.stop() == 0


def rows(system: System, query: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(f"file:{system.data / 'mailchute.db'}?mode=ro", uri=True)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()
