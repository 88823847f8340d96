"""A process the bench starts: ready when it says so, gone when the bench is."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
STOP_S = 20.0
POLL_S = 0.005
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class NotReady(Exception):
    """A server did not come up; the text says which and where its log lies."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago (and, all but surely, free over UDP)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    command: Sequence[str | Path],
    log: Path,  # begun anew
    *,
    ready: bytes | None = b"ready",
    timeout_s: float = 30.0,
    environment: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
) -> Iterator[subprocess.Popen[bytes]]:
    """
    Run a command in a session of its own until the block ends.

    Args:
        ready: What a line of its output begins with when it is ready; None does not wait.

    Raises:
        NotReady: It ended, or said nothing, within `timeout_s`.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=stdin,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - the bench has one thread
        )
    try:
        if ready is not None:
            _wait_for_line(process, ready, timeout_s, log)
        yield process
    finally:
        _stop(process)


def module(name: str, *arguments: str | Path) -> list[str | Path]:
    """Return the command that runs a module of the bench."""
    return [sys.executable, "-m", name, *arguments]


def wait_for_port(port: int, timeout_s: float) -> None:
    """Return once 127.0.0.1:port accepts. Raises NotReady."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise NotReady(f"nothing listens on port {port} after {timeout_s:.0f} s")


def _wait_for_line(process: subprocess.Popen[bytes], ready: bytes, timeout_s: float, log: Path) -> None:
    deadline = time.monotonic() + timeout_s
    while not any(line.startswith(ready) for line in log.read_bytes().splitlines()):
        if process.poll() is not None:
            raise NotReady(f"{_name_of(process)} ended with {process.returncode}; see {log.name}")
        if time.monotonic() > deadline:
            raise NotReady(f"{_name_of(process)} was not ready after {timeout_s:.0f} s; see {log.name}")
        time.sleep(POLL_S)


def _name_of(process: subprocess.Popen[bytes]) -> str:
    words = process.args
    assert isinstance(words, list)
    return " ".join(Path(word).name for word in words[:3])


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
