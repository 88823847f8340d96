"""What is done to each system, in the order in which it is done."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench.aiosmtpd_peer import Aiosmtpd
from bench.book import Book
from bench.ledger import sees_a_planted_loss, settle
from bench.mails import Kind, mixed
from bench.node_peer import Node
from bench.ours import Mailchute
from bench.postfix_peer import Postfix
from bench.processes import memory_of, reset_peak
from bench.stage import Pace, Run, Stage
from bench.system import System

AT_THE_EDGE = Pace(connections=16)
NEW_EACH = Pace(connections=16, reuse=False)
END_TO_END = Pace(connections=32)
ONE_AT_A_TIME = Pace(connections=1, interval_s=0.05)
WARM_UP = 100
QUIET_CORES = 0.15  # a system that spends less is taken to be at rest
REST_S = 90.0


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many mails each scenario sends."""

    accept: int
    unloaded: int
    small: int
    mix: int
    waiting: int  # for the dead endpoint; 0 leaves it out
    rounds: int


FULL = Sizes(accept=2_000, unloaded=200, small=2_500, mix=800, waiting=10_000, rounds=2)
QUICK = Sizes(accept=400, unloaded=60, small=500, mix=120, waiting=0, rounds=1)


def small(count: int) -> Iterator[Kind]:
    return itertools.repeat("small", count)


def measure_end_to_end(stage: Stage, system: Mailchute | Node, sizes: Sizes, book: Book) -> None:
    """Mail in, webhook out: as fast as it goes, and one at a time."""
    for scenario, kinds, pace in (
        ("warm-up", small(WARM_UP), END_TO_END),
        ("small", small(sizes.small), END_TO_END),
        ("mix", mixed(sizes.mix), END_TO_END),
        ("unloaded", small(sizes.unloaded), ONE_AT_A_TIME),
    ):
        run = stage.drive(system, kinds, pace, posts=True)
        if scenario == "warm-up":
            rest(system)  # what mail does not wait for may have started only now
        else:
            _enter(book, system, scenario, run)
    last = book.runs[system.name, "small"][-1]
    book.planted_loss_seen |= sees_a_planted_loss(last.sent, last.received)


def measure_edge(stage: Stage, system: Postfix, sizes: Sizes, book: Book) -> None:
    """Accept only: nothing leaves the queue."""
    stage.drive(system, small(WARM_UP), AT_THE_EDGE, posts=False)
    for scenario, count, pace in (
        ("accept-new", sizes.accept, NEW_EACH),
        ("accept-reused", sizes.accept, AT_THE_EDGE),
        ("accept-unloaded", sizes.unloaded, ONE_AT_A_TIME),
    ):
        _enter(book, system, scenario, stage.drive(system, small(count), pace, posts=False))


def measure_own_edge(stage: Stage, system: Mailchute, sizes: Sizes, book: Book) -> None:
    """Accept with delivery held still, as Postfix holds its queue; then with everything at work."""
    for scenario, pace in (("accept-new", NEW_EACH), ("accept-reused", AT_THE_EDGE)):
        with system.paused("connector"):
            held = stage.drive(system, small(sizes.accept), pace, posts=False)
        received = stage.wait_for_posts(held.sent[0].token.split(".")[1], held.sent)
        _enter(book, system, scenario, replace(held, account=settle(held.sent, received)))
        rest(system)
    _enter(book, system, "accept-busy", stage.drive(system, small(sizes.accept), NEW_EACH, posts=True))


def measure_memory(stage: Stage, system: Mailchute | Aiosmtpd, book: Book) -> None:
    """The peak of the process that takes one mail of 25 MiB, above what it held before."""
    [pid] = [system.pid] if isinstance(system, Aiosmtpd) else system.pids("ingress")
    ours = isinstance(system, Mailchute)
    stage.drive(system, small(WARM_UP), AT_THE_EDGE, posts=ours)
    reset_peak(pid)
    before, _ = memory_of(pid)
    run = stage.drive(system, iter(["giant"]), Pace(connections=1), posts=ours)
    if not run.account.accepted:
        book.missing[f"25 MiB mail through {system.name}"] = f"answered {run.sent[0].code}"
        return
    book.values[f"giant growth MiB {system.name}"].append((memory_of(pid)[1] - before) / 2**20)
    if ours:
        _enter(book, system, "giant", run)


def measure_dead_endpoint(stage: Stage, system: Mailchute, waiting: int, book: Book) -> None:
    """One endpoint that never answers with much mail waiting: what does a healthy one notice?"""
    rest(system)
    _enter(book, system, "healthy-alone", stage.drive(system, small(200), ONE_AT_A_TIME, posts=True))
    poured = stage.drive(system, small(waiting), END_TO_END, posts=False, recipient="dead@inbox.test")
    rest(system)
    book.values["waiting for the dead endpoint"].append(poured.account.accepted)
    _enter(book, system, "healthy-beside-dead", stage.drive(system, small(200), ONE_AT_A_TIME, posts=True))


def rest(system: System) -> None:
    """Return when the system has nothing more to do, or after REST_S."""
    deadline = time.monotonic() + REST_S
    while time.monotonic() < deadline:
        before = sum(system.cpu().values())
        time.sleep(1.0)
        if sum(system.cpu().values()) - before < QUIET_CORES:
            return


def idle_cores(system: System, seconds: float = 3.0) -> float:
    """Return the cores the system keeps busy while it has no mail."""
    rest(system)
    before = sum(system.cpu().values())
    time.sleep(seconds)
    return (sum(system.cpu().values()) - before) / seconds


def fsync_ms(folder: Path, count: int = 100) -> float:
    """Return what one fsync of 5 KB costs on the disk the systems use, at the median."""
    times = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(count):
            began = time.perf_counter()
            file.write(b"x" * 5_000)
            os.fsync(file.fileno())
            times.append((time.perf_counter() - began) * 1e3)
    return sorted(times)[count // 2]


def _enter(book: Book, system: System, scenario: str, run: Run) -> None:
    book.runs[system.name, scenario].append(run)
    book.versions[system.name] = system.version
    account = run.account
    rate = f"{run.delivered_per_s:7.0f}/s  {run.cpu_ms_per_mail:6.2f} ms CPU/mail"
    fate = f"{account.accepted} accepted, {account.refused} refused"
    harm = f"{len(account.lost)} lost, {len(account.doubled)} doubled"
    print(f"  {system.name:10} {scenario:20} {rate}  {fate}, {harm}", flush=True)
