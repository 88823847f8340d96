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


# What happens once the n-th attempt was made.
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
        # Once it is kept, too: who is killed between a POST and its receipt makes it again, and may.
        system.until(lambda count=count: len(attempts(system)) >= count or is_over(), WITHIN_S)
        happens(system)
    system.until(is_over, WITHIN_S)

    [(delivery_id,)] = rows(system, "select id from delivery")
    due_s = offsets_of(str(delivery_id), GAPS_S)
    for nominal_s, each_s in zip(accumulate(GAPS_S), due_s, strict=True):
        assert abs(each_s - nominal_s) <= JITTER * nominal_s
    early_s = EARLY * max(GAPS_S)
    posts = sink.posts("/support")
    came_s = [post.at - posts[0].at for post in posts]
    places = [sum(due <= at_s + early_s for due in due_s) for at_s in came_s]
    print("offsets", [f"{due:.2f}" for due in due_s], "came", [f"{at_s:.2f}" for at_s in came_s])
    # No attempt came before its offset. On a machine so slow that a part was away at a whole offset, the next
    # POST counts as the later one; who is killed before its outcome is kept POSTs again.
    numbers = attempts(system)
    assert numbers == sorted(numbers)
    assert set(numbers) <= set(places)
    assert (places[0], places[-1]) == (1, len(GAPS_S))
    assert len(posts) <= len(GAPS_S) + len(STORIES), "no story makes more than one again"
    assert system.stop() == 0


def attempts(system: System) -> list[int]:
    """Return the place in the schedule of each attempt that the database knows, in order."""
    return [int(str(number)) for (number,) in rows(system, "select number from attempt order by started_at")]


def rows(system: System, query: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(f"file:{system.data / 'mailchute.db'}?mode=ro", uri=True)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()
