"""A developer's program gets its mail by `mailchute listen`; its answer is what became of the attempt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from tests.e2e.system import System
from tests.e2e.test_faults import content
from tests.servers.sink import Sink

ALIAS = "support@inbox.test"


def mailchute(system: System, *arguments: str) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAILCHUTE_")}
    command = [sys.executable, "-m", "mailchute_cli", *arguments, "--data", str(system.data)]
    return subprocess.run(command, capture_output=True, text=True, env=environ, check=True).stdout


class Listening:
    """`mailchute listen` as a child of the test."""

    def __init__(self, system: System, key: str, *options: str) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("MAILCHUTE_")}
        command = [sys.executable, "-m", "mailchute_cli", "listen", ALIAS, "--api", system.http, *options]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**environ, "MAILCHUTE_API_KEY": key, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        self.lines: list[str] = []
        self.until("listening")

    @property
    def secret(self) -> str:
        return next(line.split()[-1] for line in self.lines if "signed with" in line)

    def until(self, text: str) -> None:
        assert self._process.stdout is not None
        while not any(text in line for line in self.lines):
            line = self._process.stdout.readline()
            assert line, "".join(self.lines)
            self.lines.append(line)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(60) == 0


def attempts(system: System, mail_id: str, endpoint_id: str) -> list[dict[str, Any]]:
    told = json.loads(mailchute(system, "attempts", mail_id, "--json"))["attempts"]
    return [one for one in told if endpoint_id in json.dumps(one)]


def test_mail_comes_to_a_program_nobody_can_reach_fails_as_it_fails_and_waits_while_nobody_listens(
    new_system: Callable[..., System], sink: Sink
) -> None:
    system = new_system(ALIAS, MAILCHUTE_RETRY_SCHEDULE="0,1,2,600").start()
    key = json.loads(mailchute(system, "keys", "create", "--name", "dev", "--json"))["key"]
    listening = Listening(system, key, "--forward", sink.url("/dev"), "--fail", "503x1")
    system.send(content("first"), ALIAS)
    [post] = sink.wait_for("/dev", timeout_s=60)
    listening.until("200 in")
    post.verify(listening.secret)
    assert any("503 in" in line and "injected" in line for line in listening.lines)
    assert post.header("webhook-id") == post.json["id"]
    [own] = sink.wait_for("/support", timeout_s=60)  # the alias's own endpoint is none the worse
    assert own.body == post.body
    endpoints = json.loads(mailchute(system, "endpoints", "list", "--json"))["endpoints"]
    [endpoint_id] = [one["id"] for one in endpoints if "/listen/" in one["url"]]

    def tried() -> list[int | None]:
        return [one["status"] for one in attempts(system, post.json["id"], endpoint_id)]

    system.until(lambda: tried() == [503, 200], 60)
    listening.stop()

    system.send(content("second"), ALIAS)  # nobody listens
    sink.wait_for("/support", 2, timeout_s=60)
    assert len(sink.posts("/dev")) == 1
    again = Listening(system, key, "--forward", sink.url("/dev"), "--forget")
    posts = sink.wait_for("/dev", 2, timeout_s=120)  # at once, not when the schedule says so in 10 min
    assert [one.json["message"]["subject"] for one in posts] == ["first", "second"]
    assert posts[1].header("webhook-id") != post.header("webhook-id")
    again.until("200 in")
    again.stop()
    endpoints = json.loads(mailchute(system, "endpoints", "list", "--json"))["endpoints"]
    assert not any("/listen/" in one["url"] for one in endpoints)
    assert system.stop() == 0
