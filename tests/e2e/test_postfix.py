"""Postfix as a sending peer: its queue manager hands mail to us as it would to any MX."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.e2e.system import SECRET, System
from tests.servers.postfix import Postfix
from tests.servers.sink import Sink


@pytest.fixture
def postfix(system: System, new_postfix: Callable[[tuple[str, int]], Postfix]) -> Postfix:
    return new_postfix(system.smtp)


def test_postfix_hands_over_its_queue(postfix: Postfix, sink: Sink) -> None:
    count = 50
    source = ["smtp-source", "-s", "4", "-m", str(count), "-l", "4000", "-S", "by Postfix"]
    envelope = ["-f", "ada@example.org", "-t", "support@inbox.test", f"127.0.0.1:{postfix.port}"]
    subprocess.run([*source, *envelope], check=True, timeout=60)
    posts = sink.wait_for("/support", count, timeout_s=60)
    assert len({post.json["id"] for post in posts}) == count
    for post in posts:
        post.verify(SECRET)
        assert post.json["envelope"]["helo"] == "client.example.org"


def test_a_recipient_we_refuse_comes_back_as_a_bounce(postfix: Postfix, sink: Sink) -> None:
    """550 5.1.1 is for good: Postfix makes a DSN of it; to us it is a mail with the null reverse-path."""
    source = [
        "smtp-source",
        "-f",
        "support@inbox.test",
        "-t",
        "nobody@inbox.test",
        f"127.0.0.1:{postfix.port}",
    ]
    subprocess.run(source, check=True, timeout=60)
    [post] = sink.wait_for("/support", timeout_s=60)
    payload = post.json
    assert payload["envelope"]["mailFrom"] == ""
    [recipient] = payload["bounce"]["recipients"]
    assert (recipient["address"], recipient["status"], recipient["type"]) == (
        "nobody@inbox.test",
        "5.1.1",
        "hard",
    )
