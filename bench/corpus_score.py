"""What a reader got right of a set with known truth, and where the sets lie."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

CORPUS = Path(os.environ.get("MAILCHUTE_CORPUS", Path(__file__).parents[1] / "../shared/corpus"))
OURS, STDLIB, MAIL_PARSER = "ours", "stdlib", "mail-parser"

T = TypeVar("T")


@dataclass
class Score:
    """One set: how many of its cases each reader reads as the truth has them."""

    name: str
    of: int = 0
    right: dict[str, int] = field(default_factory=dict)
    misses: list[str] = field(default_factory=list)  # ours
    uncounted: list[str] = field(default_factory=list)  # a truth is there, the message it is about is not

    def add(self, case: str, truth: object, readings: dict[str, object]) -> None:
        """Count one case; `readings` holds what each reader made of it."""
        self.of += 1
        for reader, reading in readings.items():
            self.right[reader] = self.right.get(reader, 0) + (reading == truth)
        if OURS in readings and readings[OURS] != truth:
            self.misses.append(case)

    def line(self) -> str:
        """Return the score as one line of the report."""
        figures = "".join(f"  {reader} {count}/{self.of}" for reader, count in self.right.items())
        return f"{self.name:<28}{figures}"


def attempt(read: Callable[[], T], otherwise: T) -> T:
    """Return what is read, or `otherwise` where the reader raises: peers do."""
    try:
        return read()
    except (Exception, RecursionError):  # noqa: BLE001 - whatever a peer raises is its score
        return otherwise


def counted(names: Iterable[str]) -> str:
    """Return names as a list of at most a few."""
    all_names = list(names)
    return ", ".join(all_names[:12]) + (f" and {len(all_names) - 12} more" if len(all_names) > 12 else "")
