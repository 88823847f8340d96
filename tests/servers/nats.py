"""A real nats-server with JetStream, sync_interval always, that a test may kill, pause and start again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CONFIG = """
server_name: {name}
host: 127.0.0.1
port: {port}
http: "127.0.0.1:{monitor_port}"
max_payload: 48MB
max_pending: 128MB
jetstream {{ store_dir: "{store}", max_mem: 256MB, max_file: {room}, sync_interval: {sync} }}
"""
ROOM = os.environ.get("NATS_ROOM", "2GB")  # on disk; a bench may want more
START_S = 20


class NatsServer:
    """
    One server on free loopback ports with a store of its own.

    Args:
        home: Where the configuration and the store go.
        sync: sync_interval; "always" is what Mailchute asks for.
    """

    def __init__(self, home: Path, *, sync: str = "always") -> None:
        self.home = home
        self.port, self.monitor_port = _free_ports(2)
        self.url = f"nats://127.0.0.1:{self.port}"
        self.monitor_url = f"http://127.0.0.1:{self.monitor_port}"
        self._process: subprocess.Popen[bytes] | None = None
        home.mkdir(parents=True, exist_ok=True)
        self.write_config(sync=sync)

    def write_config(self, *, sync: str = "always") -> None:
        """Write the configuration; it holds from the next start."""
        text = CONFIG.format(
            name=self.home.name,
            port=self.port,
            monitor_port=self.monitor_port,
            store=self.home,
            sync=sync,
            room=ROOM,
        )
        (self.home / "nats.conf").write_text(text)

    def start(self) -> None:
        """Start, and return once JetStream answers."""
        assert self._process is None, "it runs already"
        with (self.home / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(
                [_binary(), "-c", str(self.home / "nats.conf")], stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_S
        while not self._is_healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.home / "nats.log").read_text()[-2_000:])
            time.sleep(0.01)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill9(self) -> None:
        """End it at once; what the kernel has been given stays on disk."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill it where it still runs, and start it on the same ports and store."""
        if self._process is not None:
            self.kill9()
        self.start()

    def pause(self) -> None:
        """Stop it in mid-breath: connections stay open, nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self._process.pid}/task")
        deadline = time.monotonic() + 30
        while any(_state_of(thread) not in "TZX" for thread in threads.iterdir()):
            assert time.monotonic() < deadline, "it does not stop"
            time.sleep(0.001)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Remove every stream, for the next test on the same server."""
        self.stop()
        shutil.rmtree(self.home / "jetstream", ignore_errors=True)
        self.start()

    def monitor(self, path: str) -> dict[str, Any]:
        """Return what the monitor port says at `path`, such as "varz"."""
        with urllib.request.urlopen(f"{self.monitor_url}/{path}", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def _is_healthy(self) -> bool:
        try:
            return self.monitor("healthz?js-enabled-only=true").get("status") == "ok"
        except OSError:
            return False

    def _end(self, by: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(by)
        self._process.wait(timeout=30)
        self._process = None


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server for this test alone: kill it, pause it."""
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.kill9()


@pytest.fixture(scope="session")
def nats_server_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One server for many tests (one per xdist worker): leave it running, name streams apart."""
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.kill9()


def _binary() -> str:
    return (
        shutil.which("nats-server", path=sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"])
        or ""
    )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _state_of(thread: Path) -> str:
    """Return the letter that says what a thread does (proc(5)): T is stopped, X gone."""
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"
