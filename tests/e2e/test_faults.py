"""Processes killed, endpoints down, NATS away: every mail answered 250 is delivered, none is invented."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.system import SECRET, System, is_alive, routes_to
from tests.servers.dns import DnsServer
from tests.servers.sink import Sink, Step

FAST_RETRIES = {
    "MAILCHUTE_RETRY_SCHEDULE": "0," + ",".join(["0.5"] * 60),
    "MAILCHUTE_ACK_WAIT_S": "5",  # how long what a killed connector had in hand stays in hand
}
DELIVERED_WITHIN_S = 90.0
# The worker, where a server has one; its master goes with each name of MASTERS.
KILLED = ("ingress", "connector", "scan", "parse", "parse-worker", "deliver", "record", "s3", "nats", "api")
MASTERS = ("scan", "parse", "deliver", "record", "api", "front")


def content(mark: str) -> bytes:
    fields = ("From: ada@example.org", f"Subject: {mark}", f"Message-ID: <{mark}@example.org>")
    return "\r\n".join((*fields, "", "Hello.", "")).encode()


class Load:
    """A client that sends one mail after another, and keeps the mark of each that was answered 250."""

    def __init__(self, system: System) -> None:
        self.accepted: set[str] = set()
        self.refused: list[tuple[int, str]] = []
        self._system = system
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @contextmanager
    def running(self) -> Iterator[Load]:
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()

    def grows(self, by: int = 5) -> None:
        """Return once that many more mails were accepted."""
        goal = len(self.accepted) + by
        System.until(lambda: len(self.accepted) >= goal, 60)

    def _run(self) -> None:
        while not self._stop.is_set():
            mark = f"m{len(self.accepted)}-{os.urandom(4).hex()}"
            _, reply = self._system.send(content(mark), "support@inbox.test")
            if reply[0] == 250:
                self.accepted.add(mark)
            elif reply[0]:
                self.refused.append(reply)
            self._stop.wait(0.02)


def marks_at(sink: Sink, path: str = "/support") -> list[str]:
    return [post.json["message"]["subject"] for post in sink.posts(path)]


def assert_all_arrive(load: Load, sink: Sink) -> None:
    System.until(lambda: load.accepted <= set(marks_at(sink)), DELIVERED_WITHIN_S)
    for post in sink.posts("/support"):
        post.verify(SECRET)
    ids: dict[str, set[str]] = {}
    for post in sink.posts("/support"):
        ids.setdefault(post.json["message"]["subject"], set()).add(post.json["id"])
    assert {mark: found for mark, found in ids.items() if len(found) > 1} == {}, "one mail, two ids"


def has_killed(system: System, name: str, which: int) -> bool:
    """Kill one of a program's processes; False while it has none: it may just have ended with another."""
    for pid in system.pids(name)[which:][:1]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
    return False


@pytest.mark.slow
def test_whatever_is_killed_under_load_nothing_accepted_is_lost(
    new_system: Callable[..., System], sink: Sink
) -> None:
    system = new_system(**FAST_RETRIES).start()
    load = Load(system)
    with load.running():
        for name, which in (*((name, -1) for name in KILLED), *((name, 0) for name in MASTERS)):
            load.grows()
            System.until(lambda name=name, which=which: has_killed(system, name, which), 60)
        load.grows()
    assert all(400 <= code < 500 for code, _ in load.refused), load.refused
    assert_all_arrive(load, sink)
    assert system.stop() == 0


@pytest.mark.slow
def test_after_kill_9_of_up_no_process_is_left_and_the_next_start_carries_on(
    new_system: Callable[..., System], sink: Sink
) -> None:
    system = new_system(**FAST_RETRIES).start()
    sink.program("/support", 503)  # so that deliveries are still owed when it dies
    load = Load(system)
    with load.running():
        load.grows(10)
        children = system.processes()
        assert len(children) > 10
        system.kill9()
        System.until(lambda: not any(is_alive(pid) for pid in children), 15)
    sink.program("/support", 200)
    system.start()
    assert_all_arrive(load, sink)
    assert system.stop() == 0


def test_while_nats_is_silent_mail_is_answered_451_and_a_resend_arrives_once(
    new_system: Callable[..., System], sink: Sink
) -> None:
    system = new_system(MAILCHUTE_PUBLISH_TIMEOUT_S="1").start()
    [nats] = system.pids("nats")
    os.kill(nats, signal.SIGSTOP)
    try:
        _, reply = system.send(content("while-away"), "support@inbox.test")
    finally:
        os.kill(nats, signal.SIGCONT)
    assert (reply[0], reply[1][:5]) == (451, "4.3.0")
    System.until(lambda: system.send(content("while-away"), "support@inbox.test")[1][0] == 250, 30)
    system.send(content("after"), "support@inbox.test")
    System.until(lambda: {"while-away", "after"} <= set(marks_at(sink)), 60)
    assert marks_at(sink).count("while-away") == 1
    assert system.stop() == 0


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((500, 503, 429, 200), id="errors"),
        pytest.param((Step(fault="hang"), 200), id="silent"),
        pytest.param((Step(fault="reset"), Step(fault="reset"), 200), id="hangs-up"),
    ],
)
def test_an_endpoint_in_trouble_is_tried_again_by_the_schedule(
    shared_by_faults: System, sink: Sink, steps: tuple[int | Step, ...]
) -> None:
    sink.program("/support", *steps)
    _, reply = shared_by_faults.send(content(f"again-{os.urandom(4).hex()}"), "support@inbox.test")
    assert reply[0] == 250
    posts = sink.wait_for("/support", len(steps), timeout_s=60)
    assert {post.header("webhook-id") for post in posts} == {posts[0].json["id"]}
    assert len({post.body for post in posts}) == 1
    for post in posts:
        post.verify(SECRET)


def test_an_endpoint_that_is_down_gets_its_mail_when_it_is_back(shared_by_faults: System, sink: Sink) -> None:
    sink.kill()
    try:
        for number in range(5):
            assert shared_by_faults.send(content(f"down-{number}"), "support@inbox.test")[1][0] == 250
    finally:
        sink.start()
    System.until(lambda: {f"down-{number}" for number in range(5)} <= set(marks_at(sink)), 60)


def test_while_deliver_is_away_no_attempt_is_counted(shared_by_faults: System, sink: Sink) -> None:
    system = shared_by_faults
    for number in range(3):
        System.until(lambda: has_killed(system, "deliver", 0), 60)
        assert system.send(content(f"away-{number}"), "support@inbox.test")[1][0] == 250
    posts = sink.wait_for("/support", 3, timeout_s=60)
    ids = {post.json["id"] for post in posts}
    System.until(lambda: attempts_of(system, ids) == {mail_id: [1] for mail_id in ids}, 30)


def attempts_of(system: System, mail_ids: set[str]) -> dict[str, list[int]]:
    """Return the numbers of the attempts that the database knows of each mail."""
    database = sqlite3.connect(f"file:{system.data / 'mailchute.db'}?mode=ro", uri=True)
    try:
        rows = database.execute("select mail_id, number from attempt order by number").fetchall()
    finally:
        database.close()
    return {mail_id: [attempt for of, attempt in rows if of == mail_id] for mail_id in mail_ids}


@pytest.fixture(scope="module")
def shared_by_faults(
    tmp_path_factory: pytest.TempPathFactory, zone: DnsServer, sink_of_session: Sink
) -> Iterator[System]:
    system = System(
        tmp_path_factory.mktemp("faults"),
        routes=routes_to(sink_of_session, "support@inbox.test"),
        dns=zone.address,
        environ={**FAST_RETRIES, "MAILCHUTE_WEBHOOK_TIMEOUT": "2"},
    ).start()
    yield system
    status = system.stop()
    system.clear_away()
    assert status == 0
