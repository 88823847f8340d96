"""What processes cost: CPU and memory from /proc, by name, children and reaped children included."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
Name = Callable[[str, str], str]  # (command line, environment) → the name to book it under
Cpu = dict[str, float]  # name → seconds


def cpu_of(roots: Iterable[int], name: Name) -> Cpu:
    """Return the CPU seconds, user and system, of these processes and all under them so far."""
    spent: Cpu = {}
    for pid in tree_of(roots):
        try:
            fields = _stat(pid)
            label = name(_text(pid, "cmdline"), _text(pid, "environ"))
        except OSError:  # ended meanwhile: its parent's reaped time has it
            continue
        # man 5 proc: utime, stime, cutime, cstime are the fields 14 to 17, in ticks
        spent[label] = spent.get(label, 0.0) + sum(map(int, fields[11:15])) / TICKS_PER_S
    return spent


def spent_between(before: Cpu, after: Cpu) -> Cpu:
    """Return what each name spent from one reading to the next, largest first."""
    spent = {name: after.get(name, 0.0) - before.get(name, 0.0) for name in before | after}
    return {name: s for name, s in sorted(spent.items(), key=lambda item: -item[1]) if abs(s) > 1e-9}


def tree_of(roots: Iterable[int]) -> list[int]:
    """Return these processes and all their descendants that live now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
            except OSError:
                continue
    found: list[int] = []
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def pids_named(roots: Iterable[int], name: Name, wanted: str) -> list[int]:
    """Return those of the processes under `roots` that `name` books under `wanted`."""
    found = []
    for pid in tree_of(roots):
        try:
            if name(_text(pid, "cmdline"), _text(pid, "environ")) == wanted:
                found.append(pid)
        except OSError:
            continue
    return found


def reset_peak(pid: int) -> None:
    """Let VmHWM begin anew at what is resident now (man 5 proc, clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def memory_of(pid: int) -> tuple[int, int]:
    """Return the octets resident now, and at the peak."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return _octets(lines["VmRSS"]), _octets(lines["VmHWM"])


def machine_busy_s() -> float:
    """Return the seconds all CPUs together were busy since boot, the kernel's own work included."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:8])) / TICKS_PER_S


def _octets(field: str) -> int:
    return int(field.split(maxsplit=1)[0]) * 1024


def _stat(pid: int) -> list[str]:
    # the name stands in brackets and may hold anything: count from behind it
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _text(pid: int, file: str) -> str:
    return Path(f"/proc/{pid}/{file}").read_bytes().replace(b"\0", b" ").decode(errors="replace")
