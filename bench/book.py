"""What the bench found out, before it is put into words."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass, field

from bench.processes import Cpu
from bench.stage import Run


@dataclass
class Book:
    """All measurements of one bench; filled in as it goes."""

    # (system, scenario) → its runs, one a round
    runs: dict[tuple[str, str], list[Run]] = field(default_factory=lambda: defaultdict(list))
    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)  # what was not measured → why
    planted_loss_seen: bool = False

    def best(self, system: str, scenario: str) -> Run | None:
        """Return the run that a busy machine disturbed least: the one with the highest rate."""
        runs = self.runs.get((system, scenario))
        return max(runs, key=lambda run: run.delivered_per_s) if runs else None

    def cheapest(self, system: str, scenario: str) -> Run | None:
        """Return the run with the least CPU for each mail."""
        runs = self.runs.get((system, scenario))
        return min(runs, key=lambda run: run.cpu_ms_per_mail) if runs else None

    def times_ms(self, system: str, scenario: str, kind: str) -> list[float]:
        """Return the times of all rounds; `kind` is dot_to_reply, reply_to_post or dot_to_post."""
        return [ms for run in self.runs.get((system, scenario), []) for ms in getattr(run, f"{kind}_ms")()]

    def strangers(self) -> float:
        """Return which part of the machine's busy time none of these processes spent."""
        runs = [run for several in self.runs.values() for run in several]
        busy = sum(run.machine_s for run in runs)
        return sum(run.stranger_share * run.machine_s for run in runs) / busy if busy else 0.0


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def per_mail_ms(cpu: Cpu, mails: int) -> dict[str, float]:
    return {name: seconds * 1e3 / max(1, mails) for name, seconds in cpu.items()}


def middle(values: list[float]) -> float:
    return statistics.median(values)
