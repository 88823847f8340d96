"""CPU is booked by name, that of ended children too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.child import running
from bench.processes import cpu_of, memory_of, spent_between, tree_of

BURN = "sum(n * n for n in range(6_000_000))"


def test_a_childs_work_counts_while_it_lives_and_after(tmp_path: Path) -> None:
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{BURN}']);"
    with running(
        [sys.executable, "-c", code + "print('ready', flush=True); input()"],
        tmp_path / "log",
        stdin=subprocess.PIPE,
    ) as parent:
        spent = cpu_of([parent.pid], lambda command, environment: "it")
        assert tree_of([parent.pid]) == [parent.pid]
        assert spent["it"] > 0.1


def test_names_come_from_command_line_and_environment(tmp_path: Path) -> None:
    code = "print('ready', flush=True); input()"
    with running(
        [sys.executable, "-c", code],
        tmp_path / "log",
        stdin=subprocess.PIPE,
        environment={"ROOM": "scan"},
    ) as process:
        seen = cpu_of(
            [process.pid], lambda command, environment: f"{'input' in command} {environment.strip()}"
        )
        assert list(seen) == ["True ROOM=scan"]
        resident, peak = memory_of(process.pid)
        assert 0 < resident <= peak


def test_what_was_spent_is_the_difference_largest_first() -> None:
    assert list(spent_between({"a": 1.0, "gone": 2.0}, {"a": 1.5, "b": 4.0, "gone": 2.0}).items()) == [
        ("b", 4.0),
        ("a", 0.5),
    ]
