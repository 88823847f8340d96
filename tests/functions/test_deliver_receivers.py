"""The receivers of docs/receivers, each run as its first line says, where its runtime is installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.deliver.given import MAIL_ID, SECRET, attempts, endpoint, request

RECEIVERS = Path(__file__).parents[2] / "docs" / "receivers"
STARTS_S = 60  # `go run` compiles first

COMMANDS = {
    "flask": [sys.executable, "flask_receiver.py"],
    "django": [sys.executable, "django_receiver.py"],
    "express": ["node", "express_receiver.js"],
    "php": ["php", "-d", "post_max_size=12M", "-S", "127.0.0.1:{port}", "receiver.php"],
    "go": ["go", "run", "receiver.go"],
}


@dataclass
class Running:
    """A receiver's process."""

    url: str
    process: subprocess.Popen[str]

    def said(self) -> str:
        """End it, and return what it printed."""
        self.end()
        return self.process.communicate(timeout=30)[0]

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # `go run` has a child of its own


def _lacks(name: str) -> str | None:
    program = COMMANDS[name][0]
    if shutil.which(program) is None:
        return f"{program} is not installed"
    if name == "express":
        found = subprocess.run(
            ["node", "-e", "require('express')"], cwd=RECEIVERS, capture_output=True, check=False
        )
        return None if found.returncode == 0 else "express is not installed (NODE_PATH tells where it is)"
    return None


@pytest.fixture(params=sorted(COMMANDS))
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    if missing := _lacks(request.param):
        pytest.skip(missing)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {**os.environ, "PORT": str(port), "WEBHOOK_SECRET": SECRET, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [part.format(port=port) for part in COMMANDS[request.param]],
        cwd=RECEIVERS,
        env=environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    running = Running(f"http://127.0.0.1:{port}/mail", process)
    try:
        _wait_for(port, process)
        yield running
    finally:
        running.end()
        process.communicate(timeout=30)


def _wait_for(port: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + STARTS_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "the receiver ended"
            assert time.monotonic() < end, "the receiver does not listen"
            time.sleep(0.05)
        else:
            return


def test_a_receiver_takes_what_is_ours_once_and_nothing_else(receiver: Running) -> None:
    make = attempts(endpoint(receiver.url)).make
    for _ in range(2):
        outcome = make(request())
        assert (outcome.result, outcome.reason) == ("delivered", "")
    forged = attempts(endpoint(receiver.url, secrets=("whsec_AAAA",))).make(request())
    assert forged.status == 401
    rotated = attempts(endpoint(receiver.url, secrets=("whsec_AAAA", SECRET))).make(
        request(delivery={"mail_id": MAIL_ID + "2"})
    )
    assert rotated.result == "delivered"
    assert receiver.said().count("somebody wrote: Grüße, 你好") == 1


def test_a_receiver_echoes_a_challenge_and_only_ours(receiver: Running) -> None:
    asked = request(challenge="hj2-Kx")
    made = attempts(endpoint(receiver.url, is_unverified=True)).make(asked)
    assert (made.result, made.status, made.response) == ("delivered", 200, b"hj2-Kx")
    forged = attempts(endpoint(receiver.url, secrets=("whsec_AAAA",))).make(asked)
    assert forged.status == 401


def test_a_body_of_ten_megabytes_is_taken(receiver: Running) -> None:
    body = request().payload.replace(b'"text":"', b'"text":"' + b"x" * 10_000_000, 1)
    assert attempts(endpoint(receiver.url)).make(request(body)).result == "delivered"
