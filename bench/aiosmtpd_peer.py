"""aiosmtpd as it comes, which throws the mail away: what a server of a few lines takes in memory."""

from __future__ import annotations

import argparse
import contextlib
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from bench.child import free_port, module, running
from bench.processes import Cpu, cpu_of
from bench.system import System

SIZE_LIMIT_OCTETS = 64 * 1024 * 1024


class Aiosmtpd(System):
    """A running aiosmtpd."""

    name = "aiosmtpd"

    def __init__(self, port: int, pid: int) -> None:
        self.smtp_port, self.pid, self.version = port, pid, f"aiosmtpd {version('aiosmtpd')}"

    def cpu(self) -> Cpu:
        return cpu_of([self.pid], lambda command, environment: "aiosmtpd")


@contextlib.contextmanager
def aiosmtpd(log: Path) -> Iterator[Aiosmtpd]:
    """Run it."""
    port = free_port()
    with running(module("bench.aiosmtpd_peer", "--port", str(port)), log) as process:
        yield Aiosmtpd(port, process.pid)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    options = arguments.parse_args()
    Controller(Sink(), hostname="127.0.0.1", port=options.port, data_size_limit=SIZE_LIMIT_OCTETS).start()
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
