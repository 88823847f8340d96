"""`make bench`: Mailchute and its peers, measured in one run on this machine."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from bench import node_peer, postfix_peer, scenarios
from bench.aiosmtpd_peer import aiosmtpd
from bench.book import Book
from bench.child import NotReady
from bench.ours import mailchute
from bench.page import machine_facts, page, show
from bench.scenarios import FULL, QUICK, Sizes
from bench.stage import Stage, stage

SEED = 20261121


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--quick", action="store_true", help="under 2 minutes, fewer mails, no dead endpoint"
    )
    arguments.add_argument("--ours", action="store_true", help="without the peers")
    arguments.add_argument("--out", type=Path, help="also write the page here, in Markdown")
    arguments.add_argument("--keep", action="store_true", help="keep the working folder with its logs")
    options = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # what runs is stopped
    sizes = QUICK if options.quick else FULL
    # not the system's temporary folder, which may be memory: there an fsync costs nothing
    folder = Path(tempfile.mkdtemp(prefix="mailchute-bench-", dir="/var/tmp"))
    book, began = Book(), time.monotonic()
    try:
        with stage(folder, SEED) as around:
            idle = _measure(around, sizes, book, has_peers=not options.ours)
        facts = machine_facts(book, scenarios.fsync_ms(folder), idle, time.monotonic() - began)
    finally:
        if options.keep:
            print(f"logs are in {folder}")
        else:
            shutil.rmtree(folder)
    show(book)
    if options.out:
        options.out.write_text(page(book, facts, asdict(sizes)))


def _measure(around: Stage, sizes: Sizes, book: Book, *, has_peers: bool) -> float | None:
    idle = None
    for turn in range(sizes.rounds):
        print(f"round {turn + 1} of {sizes.rounds}", flush=True)
        try:
            idle = _measure_ours(around, sizes, book, turn)
        except NotReady as error:
            book.missing["Mailchute"] = str(error)
        if not has_peers:
            continue
        try:
            _measure_postfix(around, sizes, book, turn)
        except NotReady as error:
            book.missing["Postfix"] = str(error)
        try:
            _measure_node(around, sizes, book)
        except NotReady as error:
            book.missing["Node"] = str(error)
    if not has_peers:
        book.missing["Postfix"] = book.missing["Node"] = "left out"
    if not sizes.waiting:
        book.missing["dead endpoint"] = "left out of a quick run"
    return idle


def _measure_ours(around: Stage, sizes: Sizes, book: Book, turn: int) -> float:
    is_last = turn == sizes.rounds - 1
    folder = around.folder / "mailchute"
    with mailchute(folder, around.dns_port, around.sink_port) as system:
        book.values["ready s"].append(system.ready_s)
        scenarios.measure_end_to_end(around, system, sizes, book)
        idle = scenarios.idle_cores(system)
        scenarios.measure_own_edge(around, system, sizes, book)
        if is_last:
            scenarios.measure_memory(around, system, book)
        if is_last and sizes.waiting:
            scenarios.measure_dead_endpoint(around, system, sizes.waiting, book)
    if is_last and sizes.rounds == 1:  # otherwise the next round was the restart
        with mailchute(folder, around.dns_port, around.sink_port) as system:
            book.values["ready s"].append(system.ready_s)
    return idle


def _measure_postfix(around: Stage, sizes: Sizes, book: Book, turn: int) -> None:
    why_not = postfix_peer.why_not()
    if why_not:
        book.missing["Postfix"] = why_not
        return
    with postfix_peer.postfix(around.folder / f"postfix-{turn}") as system:
        scenarios.measure_edge(around, system, sizes, book)


def _measure_node(around: Stage, sizes: Sizes, book: Book) -> None:
    installed = node_peer.install()
    if isinstance(installed, str):
        book.missing["Node"] = installed
        return
    with node_peer.node(installed, around.folder / "node.log", around.dns_port, around.sink_port) as system:
        scenarios.measure_end_to_end(around, system, sizes, book)
    if not book.values.get("giant growth MiB aiosmtpd"):
        with aiosmtpd(around.folder / "aiosmtpd.log") as bare:
            scenarios.measure_memory(around, bare, book)


if __name__ == "__main__":
    main()
