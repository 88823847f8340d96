"""Keeps the children of `up` running: starts them in order, starts again what died, stops them in order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Sequence
from itertools import groupby

from mailchute_cli.child import Child
from mailchute_cli.program import Program
from mailchute_cli.screen import Screen

LOOK_EVERY_S = 0.05  # for readiness
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0  # before a child that died is started again
STEADY_S = 30.0  # a child that lived this long begins with the first pause again
TRIES = 2  # a child that ends this often before it ever worked will not work

Heard = Callable[[Program, bytes], None]


class StartFailed(Exception):
    """A child ended before it ever worked; `lines` is the last it said."""

    def __init__(self, program: Program, status: int, lines: Sequence[str]) -> None:
        super().__init__(f"{program.name} {ending_of(status)}")
        self.program = program
        self.lines = tuple(lines)


class Supervisor:
    """
    The children of one `up`.

    Args:
        heard: Told what each child says.
        inherited: Descriptors every child keeps open.
    """

    def __init__(
        self, programs: Sequence[Program], *, screen: Screen, heard: Heard, inherited: tuple[int, ...] = ()
    ) -> None:
        self._programs = programs
        self._screen = screen
        self._heard = heard
        self._inherited = inherited
        self._milestones: dict[str, asyncio.Event] = {}
        self._children: dict[str, Child] = {}
        self._is_stopping = False
        self._keepers: list[asyncio.Task[None]] = []

    def reach(self, milestone: str) -> None:
        """Let the programs go on that wait for this."""
        self._event(milestone).set()

    def missing(self) -> list[str]:
        """Return the names of those that do not work yet."""
        return [program.name for program in self._programs if not self._event(program.name).is_set()]

    async def start(self) -> None:
        """
        Start all, and return once everything that mail needs works.

        Raises:
            StartFailed: One of them will not work.
        """
        self._keepers = [asyncio.create_task(self._keep(program)) for program in self._programs]
        everyone = asyncio.create_task(self._all_work())
        try:
            await asyncio.wait({everyone, *self._keepers}, return_when=asyncio.FIRST_COMPLETED)
            for keeper in self._keepers:
                if keeper.done():
                    keeper.result()  # raises
            await everyone
        finally:
            everyone.cancel()

    async def watch(self) -> None:
        """Keep them running until cancelled."""
        await asyncio.gather(*self._keepers)

    async def stop(self) -> None:
        """Stop all, stage by stage: what takes work in goes first."""
        self._is_stopping = True
        ordered = sorted(self._children.values(), key=lambda child: child.program.stage)
        for _, stage in groupby(ordered, key=lambda child: child.program.stage):
            await asyncio.gather(*(self._stop(child) for child in stage))
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for child in self._children.values():
            child.close()

    def kill(self) -> None:
        """End all at once."""
        self._is_stopping = True
        for child in self._children.values():
            child.kill()

    async def _all_work(self) -> None:
        for program in self._programs:
            if program.is_essential:
                await self._event(program.name).wait()

    async def _keep(self, program: Program) -> None:
        for milestone in program.after:
            await self._event(milestone).wait()
        pause_s, failure_count = FIRST_PAUSE_S, 0
        while not self._is_stopping:
            began = time.monotonic()
            child = Child(program, inherited=self._inherited, heard=lambda lines: self._heard(program, lines))
            self._children[program.name] = child
            try:
                await child.start()
            except OSError as error:
                raise StartFailed(program, 127, [f"{program.command[0]}: {error.strerror}"]) from None
            looking = asyncio.create_task(self._look(program, began))
            status = await child.wait()
            looking.cancel()
            child.close()
            if self._is_stopping:
                return
            if not self._event(program.name).is_set():
                failure_count += 1
                if failure_count == TRIES or child.refused:
                    raise StartFailed(program, status, list(child.last_lines))
            pause_s = FIRST_PAUSE_S if time.monotonic() - began > STEADY_S else pause_s
            self._screen.warn(f"{program.name} {ending_of(status)}; it starts again in {pause_s:.1f} s")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _look(self, program: Program, began: float) -> None:
        """Set the milestone of `program` once it works."""
        while not await program.is_ready():  # noqa: ASYNC110 - of another process; it sends no event
            await asyncio.sleep(LOOK_EVERY_S)
        is_back = self._event(program.name).is_set()
        self.reach(program.name)
        where = "is back" if is_back else program.where
        self._screen.works(program.name, where, time.monotonic() - began)

    async def _stop(self, child: Child) -> None:
        if not await child.stop():
            self._screen.warn(f"{child.program.name} did not end in {child.program.drain_s:.0f} s: killed")

    def _event(self, milestone: str) -> asyncio.Event:
        return self._milestones.setdefault(milestone, asyncio.Event())


def ending_of(status: int) -> str:
    """Return how a process ended, in words."""
    if status >= 0:
        return f"ended with status {status}"
    name = f"signal {-status}"
    with contextlib.suppress(ValueError):
        name = signal.Signals(-status).name
    return f"was ended by {name}"
