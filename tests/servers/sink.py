"""
A webhook receiver in a process of its own that journals every POST.

    def test_…(sink: Sink) -> None:
        sink.program("/hook", 500, 503, 200)                 # statuses in turn; the last stays
        sink.program("/slow", Step(fault="hang"))            # see tests/servers/receiver.py
        … url = sink.url("/hook") …
        [post] = sink.wait_for("/hook")
        post.verify(secret)                                  # Standard Webhooks, by their own library
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

pytest_plugins = ["tests.servers.certificates"]

PROGRAM = Path(__file__).with_name("receiver.py")


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one request to a path meets."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    after_s: float = 0
    fault: str | None = None


@dataclass(frozen=True, kw_only=True)
class Post:
    """One request as it came in."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]  # as sent, in order
    body: bytes
    at: float  # Unix time
    connection: int  # counts from 1: requests that share it came over one connection

    def header(self, name: str) -> str | None:
        """Return the first value of this field, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def verify(self, secret: str) -> None:
        """Raise standardwebhooks.WebhookVerificationError unless `secret` signed these octets."""
        Webhook(secret).verify(self.body, dict(self.headers), json_parse=False)


class Sink:
    """
    The receiver's process and its journal.

    Args:
        directory: Where the journal file goes; it outlives kill() and start().
        certificate: A PEM file with key and chain: it then speaks TLS.
        client_authority: A PEM file: who does not show a certificate signed by it gets no further.
    """

    def __init__(
        self, directory: Path, *, certificate: Path | None = None, client_authority: Path | None = None
    ) -> None:
        self._journal = directory / "journal.jsonl"
        self._journal.touch()
        self._options = ["--certificate", str(certificate)] if certificate else []
        self._options += ["--client-authority", str(client_authority)] if client_authority else []
        self._scheme = "https" if certificate else "http"
        self._programs: dict[str, list[Step]] = {}
        self._posts: list[Post] = []
        self._read_octets = 0
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def start(self) -> None:
        """Receive; after kill() on the same port as before and with the same programs, from their start."""
        command = [sys.executable, "-S", str(PROGRAM), "--port", str(self.port)]
        command += ["--journal", str(self._journal), *self._options]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        for path, steps in self._programs.items():
            self._tell(path, steps)

    def kill(self) -> None:
        """End it at once; what it was answering breaks off."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def url(self, path: str = "/", *, host: str = "127.0.0.1") -> str:
        return f"{self._scheme}://{host}:{self.port}{path}"

    def program(self, path: str, *steps: int | Step) -> None:
        """Let requests to `path` meet these steps in turn; the last stays. A number is a status."""
        self._programs[path] = [Step(status=step) if isinstance(step, int) else step for step in steps]
        self._tell(path, self._programs[path])

    def posts(self, path: str | None = None) -> list[Post]:
        """Return what came in since the last forget(), oldest first; of all paths when None."""
        with self._lock:
            with self._journal.open("rb") as journal:
                journal.seek(self._read_octets)
                unread = journal.read()
            whole = unread[: unread.rfind(b"\n") + 1]
            self._read_octets += len(whole)
            self._posts += [_post(json.loads(line)) for line in whole.splitlines()]
            return [post for post in self._posts if path in (None, post.path)]

    def wait_for(self, path: str | None = None, count: int = 1, *, timeout_s: float = 20) -> list[Post]:
        """
        Return the requests to `path` once there are at least `count`.

        Raises:
            AssertionError: There were fewer after `timeout_s`.
        """
        end = time.monotonic() + timeout_s
        while len(posts := self.posts(path)) < count:
            assert time.monotonic() < end, f"{len(posts)} of {count} requests to {path} in {timeout_s} s"
            time.sleep(0.01)
        return posts

    def forget(self) -> None:
        """Begin anew: no requests seen, every path answers 200."""
        for path in list(self._programs):
            self.program(path, 200)
        self._programs.clear()
        self.posts()
        with self._lock:
            self._posts.clear()

    def _tell(self, path: str, steps: list[Step]) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            print(
                json.dumps({"path": path, "steps": [asdict(step) for step in steps]}),
                file=self._process.stdin,
            )
            assert self._process.stdout.readline() == "ok\n"


def _post(line: dict[str, Any]) -> Post:
    line["body"] = base64.b64decode(line["body"])
    line["headers"] = tuple((name, value) for name, value in line["headers"])
    return Post(**line)


@pytest.fixture(scope="session")
def sink_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sink]:
    """One receiver for all tests of this worker."""
    receiver = Sink(tmp_path_factory.mktemp("sink"))
    receiver.start()
    yield receiver
    receiver.kill()


@pytest.fixture
def sink(sink_of_session: Sink) -> Sink:
    """The receiver, with nothing seen and nothing programmed yet."""
    if sink_of_session._process is None:  # a test killed it
        sink_of_session.start()
    sink_of_session.forget()
    return sink_of_session
