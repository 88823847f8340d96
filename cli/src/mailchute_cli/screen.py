"""What a person sees while `up` runs: few lines, each worth reading."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import click

QUIET_S = 10.0  # the same event of the same child is shown once in this time
NAME_WIDTH = 10


class Screen:
    """
    Writes lines for people on stdout; colours only where a terminal shows them.

    Args:
        write: Takes one line, styled; click.echo drops the styles where nobody sees them.
    """

    def __init__(
        self, write: Callable[[str], None] = click.echo, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._clock = clock
        self._shown: dict[tuple[str, str], float] = {}

    def say(self, text: str) -> None:
        self._write(text)

    def works(self, name: str, where: str, after_s: float) -> None:
        taken = click.style(f"{after_s:4.1f} s", dim=True)
        self._write(f"  {click.style('✓', fg='green')} {name:<{NAME_WIDTH}} {where:<32} {taken}")

    def note(self, name: str, text: str) -> None:
        self._write(f"  {click.style('✓', fg='green')} {name:<{NAME_WIDTH}} {text}")

    def ready(self, text: str) -> None:
        self._write(f"{click.style('ready', fg='green', bold=True)}  {text}")

    def warn(self, text: str) -> None:
        self._write(f"  {click.style('!', fg='yellow')} {text}")

    def fail(self, text: str) -> None:
        self._write(f"{click.style('failed', fg='red', bold=True)}  {text}")

    def heard(self, name: str, line: str) -> None:
        """Show what a child logged when it is a warning or worse, each kind of event now and then."""
        try:
            entry = json.loads(line)
            level, event = entry["level"], entry["event"]
        except (ValueError, KeyError, TypeError):
            return
        if level not in ("warning", "error", "critical") or not self._is_due(name, str(event)):
            return
        known = ("at", "level", "room", "event", "traceback")
        keys = " ".join(f"{key}={value}" for key, value in entry.items() if key not in known)
        colour = "yellow" if level == "warning" else "red"
        self._write(f"  {click.style('!', fg=colour)} {name:<{NAME_WIDTH}} {event} {keys}".rstrip())

    def _is_due(self, name: str, event: str) -> bool:
        now = self._clock()
        last = self._shown.get((name, event))
        if last is not None and now - last < QUIET_S:
            return False
        self._shown[name, event] = now
        return True
