"""Mailchute as its users run it: `mailchute up` with a data directory, a routes file, and the stage's DNS."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.child import free_port, running
from bench.processes import Cpu, cpu_of, pids_named
from bench.system import System

UP_S = 60.0
_ROOMS = {"smtp_ingress": "ingress", "connector": "connector", "mailchute_cli.front": "front"}
_ROUTES = """\
version: 1
domains:
  inbox.test:
    support: http://127.0.0.1:{sink}/ok
    dead: http://127.0.0.1:{sink}/hang
"""


class Mailchute(System):
    """A running Mailchute."""

    name = "Mailchute"
    version = "this tree"

    def __init__(self, smtp_port: int, pid: int, ready_s: float) -> None:
        self.smtp_port, self.ready_s, self._pid = smtp_port, ready_s, pid

    def cpu(self) -> Cpu:
        return cpu_of([self._pid], name_of)

    def pids(self, name: str) -> list[int]:
        """Return the processes booked under `name`."""
        return pids_named([self._pid], name_of, name)

    @contextlib.contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Hold one part still, so that another can be measured alone."""
        pids = self.pids(name)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def mailchute(
    folder: Path,
    dns_port: int,
    sink_port: int,
    *,
    text: str = "",
    settings: Mapping[str, str] | None = None,
    ready_within_s: float = UP_S,
) -> Iterator[Mailchute]:
    """
    Run `mailchute up` on `folder`, which may hold what an earlier run left.

    Args:
        text: The routes file; "" for the usual one.
        settings: MAILCHUTE_… beside the usual ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    routes = folder / "routes.yml"
    routes.write_text(text or _ROUTES.format(sink=sink_port))
    smtp_port, http_port = free_port(), free_port()
    command: list[str | Path] = [Path(sys.executable).parent / "mailchute", "up", "--data", folder / "data"]
    command += ["--smtp", f"127.0.0.1:{smtp_port}", "--http", f"127.0.0.1:{http_port}", "--routes", routes]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAILCHUTE_")}
    environment |= {
        "MAILCHUTE_DNS": f"127.0.0.1:{dns_port}",
        "MAILCHUTE_ALLOW_PRIVATE": "127.0.0.0/8",
        "MAILCHUTE_HOSTNAME": "mx.inbox.test",
        **(settings or {}),
    }
    began = time.monotonic()
    with running(command, folder / "up.log", timeout_s=ready_within_s, environment=environment) as process:
        yield Mailchute(smtp_port, process.pid, time.monotonic() - began)


def name_of(command: str, environment: str) -> str:
    """Return which room a process belongs to."""
    program = command.split(" ", 1)[0].rpartition("/")[2]
    if program == "nats-server":
        return "NATS"
    if program == "weed":
        return "S3"
    functions = re.search(r"MAILCHUTE_FUNCTION=(\S+)", environment)
    if functions:
        names = functions[1].split(",")
        return names[0].removeprefix("functions.") if len(names) == 1 else "front"
    for module, room in _ROOMS.items():
        if f" -m {module} " in command:
            return room
    return "up" if "mailchute up" in command else program
