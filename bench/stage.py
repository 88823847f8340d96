"""The stage: DNS stub, sink and load generator around whichever system is measured."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.child import NotReady, free_port, module, running
from bench.dns_stub import zone_of
from bench.ledger import Account, Received, Sent, read_journal, read_ledger, settle
from bench.mails import Kind, Writer
from bench.processes import Cpu, cpu_of, machine_busy_s, spent_between
from bench.spool import Spool
from bench.system import RECIPIENT, System

SEND_S = 240.0  # a load run longer than this is broken
QUIET_S = 10.0  # no POST for so long: the rest is taken as lost
DOUBLES_S = 1.0  # how long to look for second POSTs after the last first one


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How the load generator sends."""

    connections: int
    reuse: bool = True
    interval_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """One load run against one system."""

    sent: list[Sent]
    received: list[Received]  # empty where the system does not POST
    account: Account
    cpu: Cpu  # of the system, by process
    load_cpu_s: float  # of the load generator
    stage_cpu_s: float  # of sink and DNS stub
    machine_s: float  # of all CPUs, the kernel's work included
    wall_s: float  # from the first connection to the last reply, or to the last POST

    @property
    def accept_per_s(self) -> float:
        began = min(row.began_ns for row in self.sent)
        ended = max(row.replied_ns for row in self.sent)
        return self.account.accepted / (ended - began) * 1e9

    @property
    def delivered_per_s(self) -> float:
        return self.account.delivered / self.wall_s

    @property
    def cpu_ms_per_mail(self) -> float:
        return sum(self.cpu.values()) * 1e3 / max(1, self.account.accepted)

    @property
    def stranger_share(self) -> float:
        """Return which part of the machine's busy time none of our processes spent."""
        known = sum(self.cpu.values()) + self.load_cpu_s + self.stage_cpu_s
        return 1 - known / self.machine_s if self.machine_s else 0.0

    def dot_to_reply_ms(self) -> list[float]:
        """Return the time from the final dot to 250 of each accepted mail."""
        return [(row.replied_ns - row.dot_ns) / 1e6 for row in self.sent if row.was_accepted]

    def reply_to_post_ms(self) -> list[float]:
        """Return the time from 250 to the whole POST at the sink; negative where the POST came first."""
        first = self._first_posts()
        return [(first[row.token] - row.replied_ns) / 1e6 for row in self.sent if row.token in first]

    def dot_to_post_ms(self) -> list[float]:
        """Return the time from the final dot to the whole POST at the sink."""
        first = self._first_posts()
        return [(first[row.token] - row.dot_ns) / 1e6 for row in self.sent if row.token in first]

    def _first_posts(self) -> dict[str, int]:
        return {row.token: row.received_ns for row in reversed(self.received)}


class Stage:
    """Everything around the system under measurement."""

    def __init__(
        self, folder: Path, writer: Writer, ports: tuple[int, int], pids: list[int], quiet_s: float
    ) -> None:
        self.folder, self._quiet_s = folder, quiet_s
        self.dns_port, self.sink_port = ports
        self.journal = folder / "journal"
        self._writer, self._pids = writer, pids
        self._serial = 0

    def mend(self) -> None:
        """Let /mended answer 200 from now on."""
        os.kill(self._pids[1], signal.SIGUSR1)

    def spool(self, kinds: Iterator[Kind], recipient: str | Iterator[str]) -> tuple[str, Path]:
        """Write mails of these kinds; return the run's name and the spool's folder."""
        self._serial += 1
        run = f"r{self._serial}"
        folder = self.folder / f"spool-{run}"
        header = recipient if isinstance(recipient, str) else RECIPIENT
        Spool(folder).write(self._writer.mails(run, kinds, header), recipient)
        return run, folder

    def drive(
        self,
        system: System,
        kinds: Iterator[Kind],
        pace: Pace,
        *,
        posts: bool,
        recipient: str | Iterator[str] = RECIPIENT,
    ) -> Run:
        """Send mails of these kinds and wait, where the system `posts`, until they came out again."""
        run, spool = self.spool(kinds, recipient)
        cpu, own, machine = system.cpu(), self._cpu_s(), machine_busy_s()
        with self.sending(system.smtp_port, spool, pace) as load:
            sent, load_cpu_s = load.finish()
        received = self.wait_for_posts(run, sent) if posts else []
        began = min(row.began_ns for row in sent)
        ended = max([row.replied_ns for row in sent] + [row.received_ns for row in received])
        for file in spool.iterdir():
            file.unlink()
        return Run(
            sent=sent,
            received=received,
            account=settle(sent, received if posts else _as_if_posted(sent)),
            cpu=spent_between(cpu, system.cpu()),
            load_cpu_s=load_cpu_s,
            stage_cpu_s=self._cpu_s() - own,
            machine_s=machine_busy_s() - machine,
            wall_s=(ended - began) / 1e9,
        )

    @contextlib.contextmanager
    def sending(self, smtp_port: int, spool: Path, pace: Pace) -> Iterator[Load]:
        """Send a spool in the background."""
        ledger, log = (self.folder / f"{spool.name}.{kind}" for kind in ("ledger", "log"))
        options = ["--port", str(smtp_port), "--connections", str(pace.connections)]
        options += ["--interval-s", str(pace.interval_s), *(["--reuse"] if pace.reuse else [])]
        command = module("bench.smtp_load", "--spool", spool, "--ledger", ledger, *options)
        with running(command, log, ready=None) as process:
            yield Load(process, ledger, log)

    def wait_for_posts(self, run: str, sent: list[Sent]) -> list[Received]:
        """Return the run's POSTs once each accepted mail has one, or none has come for quiet_s."""
        wanted = {row.token for row in sent if row.was_accepted}
        mark = f"bench.{run}.".encode()
        seen, quiet_since = -1, time.monotonic()
        while True:
            count = self.journal.read_bytes().count(mark)  # cheap: the machine is busy measuring
            if count >= len(wanted) and wanted <= {row.token for row in read_journal(self.journal, run)}:
                time.sleep(DOUBLES_S)
                break
            if count > seen:
                seen, quiet_since = count, time.monotonic()
            elif time.monotonic() - quiet_since > self._quiet_s:
                break
            time.sleep(0.25)
        return read_journal(self.journal, run)

    def _cpu_s(self) -> float:
        return sum(cpu_of(self._pids, lambda command, environment: "stage").values())


class Load:
    """A load generator at work."""

    def __init__(self, process: subprocess.Popen[bytes], ledger: Path, log: Path) -> None:
        self._process, self._ledger, self._log = process, ledger, log

    def finish(self) -> tuple[list[Sent], float]:
        """Wait for the end; return the ledger and the CPU seconds it took to send."""
        if self._process.wait(SEND_S):
            raise NotReady(f"the load generator failed; see {self._log.name}")
        return read_ledger(self._ledger), float(self._log.read_text().split()[-1])


@contextlib.contextmanager
def stage(folder: Path, seed: int, quiet_s: float = QUIET_S) -> Iterator[Stage]:
    """Set the stage: a DNS stub that vouches for the bench's senders, and a sink."""
    writer = Writer(seed)
    (folder / "zone.json").write_text(json.dumps(zone_of(writer.public_key())))
    dns_port, sink_port = free_port(), free_port()
    dns = module("bench.dns_stub", "--port", str(dns_port), "--zone", folder / "zone.json")
    sink = module("bench.sink", "--port", str(sink_port), "--journal", folder / "journal")
    with running(dns, folder / "dns.log") as one, running(sink, folder / "sink.log") as other:
        yield Stage(folder, writer, (dns_port, sink_port), [one.pid, other.pid], quiet_s)


def _as_if_posted(sent: list[Sent]) -> list[Received]:
    return [
        Received(token=row.token, path="", received_ns=row.replied_ns, size_octets=0)
        for row in sent
        if row.was_accepted
    ]
