"""What `mailchute up` runs as a child process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

Probe = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, kw_only=True)
class Program:
    """One child: how it is started, how we know that it works, and when it stops."""

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str]  # all of it
    is_ready: Probe  # whether it does its work now; it raises nothing
    stage: int  # stopped in ascending order: who takes work in goes first
    is_essential: bool = True  # False: mail flows without it, though some of it waits
    after: tuple[str, ...] = ()  # milestones (programs that work, "database") that come before its start
    drain_s: float = 10  # from SIGTERM to SIGKILL
    where: str = ""  # an address, for a person
    directory: str | None = None  # where it runs; None is ours


STAGE_EDGE = 0
STAGE_CONNECTOR = 1
STAGE_FUNCTIONS = 2
STAGE_STORAGE = 3
STAGE_STREAM = 4
