"""
What endpoints in trouble cost the others: `python -m bench.isolation [--scale 0.1] [--folder DIR]`.

The whole of `mailchute up`, real SMTP and HTTP. At scale 1: 10,000 mails waiting for a dead endpoint
beside 100 that hang; 2,000 in trouble with 5 mails each, then mended; 20 healthy ones against 20,000; a
backlog that is full. Ends with 1 when a mail was lost, doubled at a healthy endpoint, or refused.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from bench.book import percentile
from bench.ledger import read_journal
from bench.mails import Kind
from bench.ours import Mailchute, mailchute
from bench.processes import memory_of, spent_between
from bench.stage import Pace, Run, Stage, stage

HANGING_COUNT = 100
MAILS_EACH = 5
FEW = 20
SMALL: Kind = "small"
WAIT_S = 900.0
READY_S = 600.0  # 20,000 aliases are written first
ODD_PACE = Pace(connections=1, interval_s=0.1)  # unloaded: one mail at a time
FULL = Pace(connections=16)
COMPRESSED = {"MAILCHUTE_RETRY_SCHEDULE": "0,5,20,30,60,60,120,240,480"}  # a quarter of an hour
SMALL_LANE = {"MAILCHUTE_LANE_MAX_MESSAGES": "100", "MAILCHUTE_LANE_MAX_OCTETS": str(4 * 1024**2)}


class Bench:
    """The figures as they come, and whether anything was lost or refused."""

    def __init__(self, on: Stage, scale: float) -> None:
        self.stage = on
        self.scale = scale
        self.is_sound = True

    def count(self, full: int, least: int) -> int:
        return max(least, int(full * self.scale))

    def say(self, what: str, figure: str) -> None:
        print(f"{what:58} {figure}", flush=True)

    def drive(
        self, system: Mailchute, count: int, pace: Pace, to: str | Iterator[str], *, posts: bool
    ) -> Run:
        """Send small mails; each must be answered 250 and, where it `posts`, be POSTed once."""
        run = self.stage.drive(system, itertools.repeat(SMALL, count), pace, posts=posts, recipient=to)
        if run.account.refused or (posts and not run.account.is_clean):
            self.is_sound = False
            self.say("  NOT SOUND", f"{run.account}"[:400])
        return run

    def latency(self, what: str, system: Mailchute) -> float:
        """Return the healthy endpoint's p99 from the final dot to its POST, in ms."""
        run = self.drive(system, self.count(1_000, 200), ODD_PACE, "support@inbox.test", posts=True)
        times = sorted(run.dot_to_post_ms())
        p99 = percentile(times, 0.99)
        self.say(what, f"p50 {statistics.median(times):.1f} ms, p99 {p99:.1f} ms of {len(times)}")
        return p99

    def nats(self, what: str, system: Mailchute) -> None:
        """Tell what NATS and the connector hold and spend while nothing is sent."""
        before, began = system.cpu(), time.monotonic()
        time.sleep(10)
        took_s = time.monotonic() - began
        spent = spent_between(before, system.cpu())
        rooms = ", ".join(
            f"{room} {memory_of(system.pids(room)[0])[0] / 1024**2:.0f} MiB and "
            f"{100 * spent.get(room, 0.0) / took_s:.1f} % of a core"
            for room in ("NATS", "connector")
        )
        self.say(what, rooms)


def trouble_beside_health(bench: Bench, folder: Path) -> None:
    """A dead endpoint with a backlog and a hundred that hang; then many in trouble, which are mended."""
    on = bench.stage
    many = bench.count(2_000, 20)
    aliases = {"support": "/ok", "dead": "/broken/dead"}
    aliases |= {f"hang-{number}": f"/hang/{number}" for number in range(HANGING_COUNT)}
    aliases |= {f"trouble-{number}": f"/mended/{number}" for number in range(many)}
    with ours(bench, folder, aliases, COMPRESSED) as system:
        bench.drive(system, 50, FULL, "support@inbox.test", posts=True)  # warm
        baseline = bench.latency("healthy endpoint alone", system)
        waiting = bench.count(10_000, 200)
        bench.drive(system, waiting, FULL, "dead@inbox.test", posts=False)
        hanging = (f"hang-{number}@inbox.test" for number in itertools.cycle(range(HANGING_COUNT)))
        bench.drive(system, MAILS_EACH * HANGING_COUNT, FULL, hanging, posts=False)
        until(lambda: at_rest(folder), "MAIL is worked off")
        held = messages(folder, "RETRY")
        p99 = bench.latency(f"beside {held} waiting for a dead one and 100 hanging", system)
        bench.say("  ratio of the p99s (to reach: under 2)", f"{p99 / baseline:.2f}")
        bench.nats(f"  with {metric(folder, 'mailchute_lanes'):.0f} lanes", system)

        mine = (f"trouble-{number}@inbox.test" for number in itertools.cycle(range(many)))
        run = bench.drive(system, MAILS_EACH * many, FULL, mine, posts=False)
        until(lambda: metric(folder, "mailchute_lanes") >= many, "every endpoint in trouble has its lane")
        bench.nats(f"{many} endpoints in trouble, {MAILS_EACH} mails each", system)
        on.mend()
        mended_ns = time.monotonic_ns()
        wanted = {row.token for row in run.sent if row.was_accepted}

        def arrived() -> set[str]:
            return {
                row.token
                for row in read_journal(on.journal)
                if row.path.startswith("/mended") and row.received_ns > mended_ns
            }

        until(lambda: wanted <= arrived(), "every mail has arrived after the recovery")
        took_s = (time.monotonic_ns() - mended_ns) / 1e9
        bench.say("  all delivered after the recovery", f"{len(wanted)} mails within {took_s:.0f} s")


def few_and_many(bench: Bench, folder: Path) -> None:
    """The same mails to 20 healthy endpoints and to 20,000, in one sitting."""
    many = bench.count(20_000, 500)
    aliases = {f"one-{number}": f"/ok/{number}" for number in range(many)}
    mails = bench.count(4_000, 400)
    with ours(bench, folder, aliases) as system:
        bench.drive(system, 100, FULL, "one-0@inbox.test", posts=True)  # warm
        best: dict[int, Run] = {}
        for each in (FEW, many) * 2:
            to = (f"one-{number}@inbox.test" for number in itertools.cycle(range(each)))
            run = bench.drive(system, mails, FULL, to, posts=True)
            if each not in best or run.cpu_ms_per_mail < best[each].cpu_ms_per_mail:
                best[each] = run
        for each, run in best.items():
            rooms = ", ".join(f"{room} {1e3 * spent_s / mails:.2f}" for room, spent_s in run.cpu.items())
            bench.say(f"{each} healthy endpoints", f"{run.cpu_ms_per_mail:.2f} ms CPU a mail: {rooms}")
        bench.say("  ratio", f"{best[many].cpu_ms_per_mail / best[FEW].cpu_ms_per_mail:.2f}")


def full_backlog(bench: Bench, folder: Path) -> None:
    """A lane that is full by count: nobody at the edge hears of it."""
    aliases = {"support": "/ok", "dead": "/broken/dead"}
    with ours(bench, folder, aliases, SMALL_LANE) as system:
        count = bench.count(5_000, 400)
        bench.drive(system, count, FULL, "dead@inbox.test", posts=False)
        until(lambda: at_rest(folder), "MAIL is worked off")
        held, dead = messages(folder, "RETRY"), messages(folder, "DEAD")
        bench.say(f"{count} mails for a lane with room for 100", f"{held} wait, {dead} dead, none refused")
        bench.latency("  healthy endpoint beside it", system)


def ours(
    bench: Bench, folder: Path, aliases: dict[str, str], settings: dict[str, str] | None = None
) -> AbstractContextManager[Mailchute]:
    """Run Mailchute with these aliases, each going to its path at the sink."""
    on = bench.stage
    text = routes(on.sink_port, aliases)
    return mailchute(folder, on.dns_port, on.sink_port, text=text, settings=settings, ready_within_s=READY_S)


def routes(sink_port: int, aliases: dict[str, str]) -> str:
    """Return a routes file; JSON is YAML, and quicker to write."""
    urls = {name: f"http://127.0.0.1:{sink_port}{path}" for name, path in aliases.items()}
    return json.dumps({"version": 1, "domains": {"inbox.test": urls}})


def metric(folder: Path, name: str) -> float:
    """Return a figure of the connector's metrics."""
    port = json.loads((folder / "data" / "ports.json").read_text())["connector"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
    raise LookupError(name)


def messages(folder: Path, stream: str) -> int:
    return int(metric(folder, f'mailchute_stream_messages{{stream="{stream}"}}'))


def at_rest(folder: Path) -> bool:
    """Whether every mail was worked on, and every first attempt made or diverted."""
    names = [f'mailchute_stream_{kind}{{stream="MAIL"}}' for kind in ("pending", "ack_pending")]
    return not any(metric(folder, name) for name in names) and not messages(folder, "DELIVERY")


def until(holds: Callable[[], bool], what: str) -> None:
    """Raises: TimeoutError, it did not come to be."""
    ends_at = time.monotonic() + WAIT_S
    while not holds():
        if time.monotonic() > ends_at:
            raise TimeoutError(f"not within {WAIT_S:.0f} s: {what}")
        time.sleep(0.5)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--scale", type=float, default=1.0)
    arguments.add_argument("--folder", type=Path)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = options.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        with stage(folder, seed=6) as on:
            bench = Bench(on, options.scale)
            trouble_beside_health(bench, folder / "trouble")
            few_and_many(bench, folder / "many")
            full_backlog(bench, folder / "full")
    print("sound" if bench.is_sound else "NOT SOUND")
    return 0 if bench.is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
