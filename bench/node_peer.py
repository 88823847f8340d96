"""The Node stack as the peer end to end: smtp-server, mailauth and mailparser, one worker for each CPU."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.child import ROOT, free_port, running, wait_for_port
from bench.processes import Cpu, cpu_of
from bench.system import System

_SOURCE = Path(__file__).parent / "node_stack"
_CACHE = ROOT / ".cache/bench"
INSTALL_S = 120


class Node(System):
    """A running Node stack."""

    name = "Node"

    def __init__(self, port: int, version: str, pid: int) -> None:
        self.smtp_port, self.version, self._pid = port, version, pid

    def cpu(self) -> Cpu:
        return cpu_of([self._pid], lambda command, environment: "node")


def install() -> Path | str:
    """Return the folder with the stack installed, or why it cannot be measured here."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "node and npm are not installed"
    manifest = (_SOURCE / "package.json").read_bytes()
    folder = _CACHE / f"node-{hashlib.sha256(manifest).hexdigest()[:12]}"
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_bytes(manifest)
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=INSTALL_S)
        except subprocess.TimeoutExpired:
            return f"npm install took more than {INSTALL_S} s"
        except subprocess.CalledProcessError as error:
            return f"npm install failed: {error.stderr.decode(errors='replace').strip().splitlines()[-1:]}"
        (folder / "installed").touch()
    return folder


@contextlib.contextmanager
def node(
    folder: Path, log: Path, dns_port: int, sink_port: int, workers: int | None = None
) -> Iterator[Node]:
    """Run the installed stack."""
    shutil.copy(_SOURCE / "server.js", folder / "server.js")
    port = free_port()
    count = workers or os.cpu_count() or 1
    numbers = [str(number) for number in (port, dns_port, sink_port, count)]
    environment = {**os.environ, "NODE_ENV": "production"}
    with running(
        ["node", folder / "server.js", *numbers], log, ready=None, environment=environment
    ) as process:
        wait_for_port(port, 20)
        yield Node(port, f"{_versions(folder)}, {count} workers", process.pid)


def _versions(folder: Path) -> str:
    runtime = subprocess.check_output(["node", "--version"], text=True).strip()
    lines = (_SOURCE / "package.json").read_text().splitlines()
    pinned = [line.strip(' ,"').replace('": "', " ") for line in lines if line.startswith('    "')]
    return f"Node {runtime}, {', '.join(pinned)}"
