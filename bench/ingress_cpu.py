"""
What accepting one mail costs in CPU: `python -m bench.ingress_cpu [mails] [--rounds N] [--perf FILE]`.

A real edge and a real nats-server that fsyncs each message, nothing behind them; the load generator
sends 5 KB mails over 16 connections, a new one for each mail and then the same for all. Printed, of the
cheapest round: ms of CPU per mail of the edge, of nats-server and of the load generator, mails per
second, and how long the final dot waited for its 250.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.ledger import read_ledger
from bench.mails import Writer
from bench.processes import cpu_of
from bench.spool import Spool
from tests.ingress.edge_process import EdgeProcess, Jet, environ_of, new_database
from tests.servers.nats import NatsServer

RECIPIENT = "support@inbox.test"
CONNECTIONS = 16
WARM_UP = 200


@dataclass(frozen=True, kw_only=True)
class Round:
    """One spool sent."""

    edge_ms: float  # of CPU, per mail
    nats_ms: float
    load_ms: float
    mails_per_s: float
    p50_ms: float  # from the final dot to 250
    p99_ms: float

    def __str__(self) -> str:
        return (
            f"edge {self.edge_ms:.3f}  nats-server {self.nats_ms:.3f}  load {self.load_ms:.3f} ms CPU a mail,"
            f" {self.mails_per_s:.0f}/s, dot to 250 p50 {self.p50_ms:.1f} p99 {self.p99_ms:.1f} ms"
        )


class Bench:
    """An edge with a nats-server behind it, and mail to send."""

    def __init__(self, folder: Path, edge: EdgeProcess, server: NatsServer) -> None:
        self._folder, self._edge, self._server = folder, edge, server
        self._writer = Writer(1)
        self._serial = 0

    def send(self, count: int, *, reuse: bool) -> Round:
        self._serial += 1
        spool = self._folder / f"spool-{self._serial}"
        mails = self._writer.mails(f"r{self._serial}", itertools.repeat("small", count), RECIPIENT)
        Spool(spool).write(mails, RECIPIENT)
        ledger = self._folder / "ledger"
        command = [sys.executable, "-m", "bench.smtp_load", "--spool", str(spool), "--ledger", str(ledger)]
        command += ["--port", str(self._edge.port), "--connections", str(CONNECTIONS)]
        before = self._cpu_s()
        done = subprocess.run(
            [*command, *(["--reuse"] if reuse else [])], check=True, stdout=subprocess.PIPE, text=True
        )
        edge_s, nats_s = (after - began for after, began in zip(self._cpu_s(), before, strict=True))
        rows = read_ledger(ledger)
        assert all(row.was_accepted for row in rows), "not every mail was accepted"
        waits = sorted((row.replied_ns - row.dot_ns) / 1e6 for row in rows)
        took_s = (max(row.replied_ns for row in rows) - min(row.began_ns for row in rows)) / 1e9
        return Round(
            edge_ms=edge_s * 1e3 / count,
            nats_ms=nats_s * 1e3 / count,
            load_ms=float(done.stdout.split()[-1]) * 1e3 / count,
            mails_per_s=count / took_s,
            p50_ms=waits[count // 2],
            p99_ms=waits[count * 99 // 100],
        )

    def _cpu_s(self) -> tuple[float, float]:
        spent = (cpu_of([pid], lambda *_: "it") for pid in (self._edge.process.pid, self._server.pid))
        edge_s, nats_s = (each.get("it", 0.0) for each in spent)
        return edge_s, nats_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mails", type=int, nargs="?", default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    # not the system's temporary folder, which may be memory: there an fsync costs nothing
    with tempfile.TemporaryDirectory(prefix="mailchute-bench-", dir="/var/tmp") as home:
        server = NatsServer(Path(home) / "nats")
        server.start()
        edge = None
        try:
            Jet(server).create_all()
            database = new_database(Path(home), RECIPIENT)
            edge = EdgeProcess(environ_of(server, database, SMTP_PROCESSES=str(given.processes))).listening()
            bench = Bench(Path(home), edge, server)
            bench.send(WARM_UP, reuse=True)
            for reuse in (False, True):
                rounds = [bench.send(given.mails, reuse=reuse) for _ in range(given.rounds)]
                best = min(rounds, key=lambda each: each.edge_ms + each.nats_ms)
                print(f"{'reused' if reuse else 'new   '} {best}", flush=True)
        finally:
            if edge is not None:
                edge.stop()
            server.kill9()


if __name__ == "__main__":
    main()
