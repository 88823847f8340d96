"""Mode through, whole: a real SMTP client waits while a real webhook answers, fails, or hangs."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.system import SECRET, System
from tests.servers.dns import DnsServer
from tests.servers.postfix import Postfix
from tests.servers.sink import Post, Sink, Step

RULE = 'rules: [{if: "spam.score >= -1000", then: block}]'
STEPS = (
    (Step(status=204), (250, "2.0.0")),
    (Step(status=422, body="secret words"), (550, "5.7.1")),
    (Step(status=500, body="secret words"), (451, "4.2.0")),
    (Step(status=302, headers=(("Location", "http://127.0.0.1/"),)), (451, "4.2.0")),
    (Step(status=401), (451, "4.2.0")),
    (Step(fault="reset"), (451, "4.4.1")),
    (Step(fault="cut"), (451, "4.4.1")),
    (Step(fault="hang"), (451, "4.4.1")),
    (Step(fault="slow"), (451, "4.4.1")),
    (Step(fault="continue"), (451, "4.4.1")),
    (Step(status=200, after_s=1), (250, "2.0.0")),
)
# One for each test that spoils its breaker.
ALIASES = ("a", "c", "d", "pair", "raw", "blocked", *(f"b{number}" for number in range(len(STEPS))))
SETTINGS = {
    "MAILCHUTE_WEBHOOK_TIMEOUT": "4",
    "MAILCHUTE_THROUGH_TIMEOUT_S": "20",
    "MAILCHUTE_MAX_MESSAGE_OCTETS": str(40 * 1024 * 1024),
}


def routes_of(sink: Sink) -> str:
    lines = ["version: 1", "domains:", "  wait.test:"]
    for name in ALIASES:
        more = {"raw": ", format: rfc822"}.get(name, "")
        endpoints = [f"{{url: '{sink.url('/' + name)}', secret: {SECRET}{more}}}"]
        if name == "pair":
            endpoints.append(f"{{url: '{sink.url('/other')}', secret: {SECRET}}}")
        rules = f", {RULE}" if name == "blocked" else ""
        lines.append(f"    {name}: {{mode: through, endpoints: [{', '.join(endpoints)}]{rules}}}")
    lines.append(f"    plain: {{endpoints: [{{url: '{sink.url('/plain')}', secret: {SECRET}}}]}}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def waiting(
    tmp_path_factory: pytest.TempPathFactory, zone: DnsServer, sink_of_session: Sink
) -> Iterator[System]:
    home = tmp_path_factory.mktemp("through")
    system = System(home, routes=routes_of(sink_of_session), dns=zone.address, environ=SETTINGS)
    system.start()
    yield system
    status = system.stop()
    system.clear_away()
    assert status == 0, "\n".join(system.lines)


@pytest.fixture
def system(waiting: System, sink: Sink) -> System:
    return waiting


def content(mark: str, size_octets: int = 0) -> bytes:
    fields = ("From: ada@example.org", f"Subject: {mark}", f"Message-ID: <{mark}@example.org>", "")
    return "\r\n".join((*fields, "Hello.", *["x" * 70] * (size_octets // 72), "")).encode()


def new_mark() -> str:
    return uuid.uuid4().hex


def send(system: System, name: str, octets: bytes | None = None) -> tuple[int, str]:
    return system.send(octets or content(new_mark()), f"{name}@wait.test")[1]


def send_until_taken(system: System, name: str, octets: bytes) -> tuple[int, str]:
    """Send as a sender's queue does: again, until it is no 4yz and no silence."""
    found: list[tuple[int, str]] = []

    def is_final() -> bool:
        found.append(send(system, name, octets))
        return found[-1][0] in (250, 550, 554)

    System.until(is_final, 90)
    return found[-1]


class Sending:
    """One mail on its way in a thread of its own."""

    def __init__(self, system: System, name: str, octets: bytes) -> None:
        self.reply: tuple[int, str] | None = None
        self._thread = threading.Thread(target=self._run, args=(system, name, octets))
        self._thread.start()

    def _run(self, system: System, name: str, octets: bytes) -> None:
        self.reply = send(system, name, octets)

    def wait(self) -> tuple[int, str]:
        self._thread.join(90)
        assert self.reply is not None
        return self.reply


def ids_of(posts: list[Post]) -> set[str | None]:
    return {post.header("webhook-id") for post in posts}


def row_of(system: System, mail_id: str) -> dict[str, Any]:
    """Return the mail as the log has it, once it does."""
    found: list[sqlite3.Row] = []

    def is_there() -> bool:
        with sqlite3.connect(system.data / "mailchute.db") as connection:
            connection.row_factory = sqlite3.Row
            found[:] = connection.execute("SELECT * FROM email WHERE id = ?", (mail_id,)).fetchall()
        return bool(found)

    System.until(is_there, 60)
    return dict(found[0])


def command(system: System, *arguments: str) -> subprocess.CompletedProcess[str]:
    given = [sys.executable, "-m", "mailchute_cli", *arguments, "--data", str(system.data)]
    return subprocess.run(given, capture_output=True, text=True, timeout=60, check=False)


def kill(system: System, name: str) -> None:
    for pid in system.pids(name):
        os.kill(pid, signal.SIGKILL)


def test_the_reply_to_the_final_dot_is_the_webhook_s_answer(system: System, sink: Sink) -> None:
    code, text = send(system, "a")
    [post] = sink.posts("/a")
    post.verify(SECRET)
    assert (code, text) == (250, f"2.0.0 accepted {post.json['id']}")
    row = row_of(system, post.json["id"])
    System.until(lambda: row_of(system, post.json["id"])["state"] == "delivered", 60)
    assert (row["mail_sequence"], row["recipient"]) == (0, "a@wait.test")
    shown = command(system, "emails", "list", "--json")
    assert any(each["id"] == post.json["id"] for each in json.loads(shown.stdout)["emails"]), shown
    refused = command(system, "replay", post.json["id"])
    assert refused.returncode != 0
    assert "mode through" in refused.stderr


@pytest.mark.parametrize(
    "number", range(len(STEPS)), ids=lambda n: str(STEPS[n][0].fault or STEPS[n][0].status)
)
def test_whatever_the_webhook_does_the_client_hears_a_code_and_nothing_of_what_it_said(
    system: System, sink: Sink, number: int
) -> None:
    step, reply = STEPS[number]
    sink.program(f"/b{number}", step)
    code, text = send(system, f"b{number}")
    assert (code, text.split()[0]) == reply
    assert "secret" not in text
    assert "127.0.0.1" not in text
    # deliver asks anew where a connection it had used before is reset, as that may have been idle for long.
    assert len(sink.posts(f"/b{number}")) <= 1 + (step.fault == "reset")
    assert len(ids_of(sink.posts(f"/b{number}"))) == 1


def test_a_rule_blocks_before_any_post(system: System, sink: Sink) -> None:
    assert send(system, "blocked") == (550, "5.7.1 refused by a rule of the recipient")
    assert sink.posts("/blocked") == []


def test_a_resend_after_451_has_the_same_id_and_after_a_2xx_there_is_none(system: System, sink: Sink) -> None:
    sink.program("/a", 500, 503, 200)
    octets = content(new_mark())
    assert [send(system, "a", octets)[0] for _ in range(3)] == [451, 451, 250]
    code, text = send(system, "a", octets)
    posts = sink.posts("/a")
    assert (len(posts), len(ids_of(posts))) == (3, 1)
    assert (code, text) == (250, f"2.0.0 already have {posts[0].json['id']}")
    System.until(lambda: row_of(system, posts[0].json["id"])["state"] == "delivered", 60)
    shown = command(system, "attempts", posts[0].json["id"], "--json")
    assert [each["status"] for each in json.loads(shown.stdout)["attempts"]] == [500, 503, 200], shown


def test_copies_of_one_mail_at_once_make_one_post(system: System, sink: Sink) -> None:
    sink.program("/a", Step(after_s=1), 500)
    octets = content(new_mark())
    copies = [Sending(system, "a", octets) for _ in range(5)]
    assert {each.wait()[0] for each in copies} == {250}
    assert len(sink.posts("/a")) == 1


@pytest.mark.parametrize(("status", "state"), [(422, "rejected"), (500, "failed")])
def test_the_log_says_what_became_of_a_mail_that_was_not_taken(
    system: System, sink: Sink, status: int, state: str
) -> None:
    sink.program("/a", status)
    mark = new_mark()
    send(system, "a", content(mark))
    [post] = sink.posts("/a")
    System.until(lambda: row_of(system, post.json["id"])["state"] == state, 60)
    row = row_of(system, post.json["id"])
    assert (row["subject"], row["recipient"], row["accepted_at"]) == (mark, "a@wait.test", None)
    assert row["expires_at"] is not None
    sink.program("/a", 200)
    assert send(system, "a")[0] == 250  # so that no breaker opens


def test_after_410_the_endpoint_is_disabled_and_says_so(system: System, sink: Sink) -> None:
    sink.program("/d", 410)
    assert send(system, "d")[1].startswith("5.2.1")
    System.until(lambda: send(system, "d")[1].startswith("4.2.1"), 60)
    known = len(sink.posts("/d"))
    assert send(system, "d")[0] == 451
    assert len(sink.posts("/d")) == known


def test_other_endpoints_have_the_mail_after_the_first_said_2xx_and_once(system: System, sink: Sink) -> None:
    sink.program("/pair", 500, 200)
    octets = content(new_mark())
    assert send(system, "pair", octets)[0] == 451
    assert send(system, "pair", octets)[0] == 250
    assert send(system, "pair", octets)[0] == 250
    sink.wait_for("/other", timeout_s=60)
    assert len(sink.posts("/pair")) == 2
    [other] = sink.posts("/other")
    assert ids_of(sink.posts()) == {other.json["id"]}
    mail_id = other.json["id"]
    System.until(lambda: row_of(system, mail_id)["state"] == "delivered", 60)
    assert command(system, "replay", mail_id).returncode == 0
    sink.wait_for("/pair", 3, timeout_s=60)
    sink.wait_for("/other", 2, timeout_s=60)


@pytest.mark.parametrize("size_octets", [900_000, 25_000_000])
def test_big_mail_goes_through_and_its_object_goes_with_the_answer(
    system: System, sink: Sink, size_octets: int
) -> None:
    octets = content(new_mark(), size_octets)
    assert send(system, "raw", octets)[0] == 250
    [post] = sink.posts("/raw")
    assert post.body.endswith(octets[-10_000:])


def test_one_recipient_of_mode_through_has_a_transaction_of_its_own(system: System) -> None:
    replies, final = system.send(content(new_mark()), "a@wait.test", "c@wait.test", "plain@wait.test")
    assert [replies[each][0] for each in replies] == [250, 452, 452]
    assert final[0] == 250
    replies, final = system.send(content(new_mark()), "plain@wait.test", "a@wait.test")
    assert [replies[each][0] for each in replies] == [250, 452]


def killed_in_mid_post(system: System, sink: Sink, name: str, path: str) -> tuple[Sending, bytes]:
    """Return a mail whose webhook is being asked while this program is killed."""
    octets = content(new_mark())
    sending = Sending(system, path, octets)
    sink.wait_for(f"/{path}", timeout_s=60)
    kill(system, name)
    return sending, octets


@pytest.mark.slow
def test_the_ingress_killed_while_it_waits_makes_no_second_post(system: System, sink: Sink) -> None:
    sink.program("/a", Step(after_s=2))
    sending, octets = killed_in_mid_post(system, sink, "ingress", "a")
    assert sending.wait()[0] == 0  # it never heard
    assert send_until_taken(system, "a", octets)[0] == 250
    assert len(sink.posts("/a")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["connector", "deliver", "nats"])
def test_what_is_killed_in_mid_post_is_451_and_the_next_post_has_the_same_id(
    system: System, sink: Sink, name: str
) -> None:
    sink.program("/c", Step(after_s=3), 200)
    sending, octets = killed_in_mid_post(system, sink, name, "c")
    code, text = sending.wait()
    assert code in (451, 250), text
    assert send_until_taken(system, "c", octets)[0] == 250
    posts = sink.posts("/c")
    assert len(ids_of(posts)) == 1
    assert len(posts) <= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scan", "parse", "deliver", "connector", "nats"])
def test_with_a_part_away_the_client_comes_again_and_is_served(system: System, sink: Sink, name: str) -> None:
    kill(system, name)
    octets = content(new_mark())
    code, text = send(system, "c", octets)
    assert code in (0, 250, 421, 451, 452), text
    assert send_until_taken(system, "c", octets)[0] == 250
    assert len(ids_of(sink.posts("/c"))) == 1


def test_postfix_keeps_what_we_put_off_and_bounces_what_the_webhook_declines(
    system: System, sink: Sink, new_postfix: Callable[[tuple[str, int]], Postfix]
) -> None:
    postfix = new_postfix(system.smtp)
    queue = ["postqueue", "-c", str(postfix.home)]
    sink.program("/b0", 500, 503, 200)
    postfix.sendmail(content(new_mark()), sender="plain@wait.test", recipient="b0@wait.test")

    def has_gone() -> bool:
        subprocess.run([*queue, "-f"], check=True, timeout=30)  # its next attempt now, not by its schedule
        return not subprocess.run([*queue, "-j"], capture_output=True, check=True, timeout=30).stdout

    System.until(lambda: len(sink.posts("/b0")) and has_gone(), 90)
    assert len(sink.posts("/b0")) == 3
    assert len(ids_of(sink.posts("/b0"))) == 1
    sink.program("/b0", 422)
    postfix.sendmail(content(new_mark()), sender="plain@wait.test", recipient="b0@wait.test")
    [bounce] = sink.wait_for("/plain", timeout_s=90)
    [recipient] = bounce.json["bounce"]["recipients"]
    assert (recipient["address"], recipient["status"]) == ("b0@wait.test", "5.7.1")


def test_async_mail_goes_on_beside(system: System, sink: Sink) -> None:
    sink.program("/c", Step(fault="hang"))
    hanging = [Sending(system, "c", content(new_mark())) for _ in range(8)]
    sink.wait_for("/c", 1, timeout_s=60)
    for _ in range(10):
        assert send(system, "plain")[0] == 250
    sink.wait_for("/plain", 10, timeout_s=60)
    assert {each.wait()[0] for each in hanging} == {451}
