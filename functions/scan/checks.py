"""Checks that run side by side: on the spot while the cache knows every answer, else in a thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from mailchute.eventlog import event_log
from mailchute.resolver import Resolver
from mailchute.verdicts import Evidence

from .lookups import LiveSource, Lookups, NotWarm, WarmSource
from .memory import Memory

WRAP_UP_S = 0.2  # before the deadline look-ups end, so that a check can still say which one failed

T = TypeVar("T")

log = event_log("scan")


class Check(Generic[T]):
    """One check under way; its result is there by the deadline, whatever happens."""

    def __init__(self, name: str, late: T, deadline: float) -> None:
        self._name = name
        self._late = late
        self._deadline = deadline
        self._future: Future[T] | None = None
        self._value: T | None = None
        self.lookups: Lookups | None = None

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        return self.lookups.evidence if self.lookups is not None else ()

    def begin(
        self, work: Callable[[Lookups], T], resolver: Resolver, memory: Memory, pool: ThreadPoolExecutor
    ) -> None:
        try:
            self.run(work, Lookups(WarmSource(resolver), memory))
        except NotWarm:
            self.lookups = Lookups(LiveSource(resolver, self._deadline - WRAP_UP_S), memory)
            self._future = pool.submit(self._guarded, work, self.lookups)

    def run(self, work: Callable[[Lookups], T], lookups: Lookups) -> None:
        """Do the check on the spot. Raises NotWarm where only the cache may be asked."""
        self.lookups = lookups
        self._value = self._guarded(work, lookups)

    def result(self) -> T:
        """Return what the check found, or what stands for it when it is late or broke."""
        if self._future is None:
            assert self._value is not None
            return self._value
        try:
            return self._future.result(timeout=max(0.0, self._deadline - time.monotonic()))
        except TimeoutError:
            self._future.cancel()
            log.warning("check-late", stage="scan", reason=self._name)
            return self._late

    def _guarded(self, work: Callable[[Lookups], T], lookups: Lookups) -> T:
        try:
            return work(lookups)
        except NotWarm:
            raise
        except Exception as error:  # noqa: BLE001 - the outermost shell of a check: mail is never lost to one
            log.error("check-broke", error=error, stage="scan", reason=self._name)
            return self._late


class Starting(Protocol):
    """Whoever starts checks."""

    def start(self, name: str, work: Callable[[Lookups], T], late: T) -> Check[T]: ...


class Checks:
    """
    Starts the checks of one scan.

    Args:
        deadline: When the scan must answer, on the monotonic clock.
    """

    def __init__(self, resolver: Resolver, memory: Memory, pool: ThreadPoolExecutor, deadline: float) -> None:
        self._resolver = resolver
        self._memory = memory
        self._pool = pool
        self.deadline = deadline

    def start(self, name: str, work: Callable[[Lookups], T], late: T) -> Check[T]:
        """
        Return the check, begun.

        Args:
            late: The result when it cannot be had in time: a temperror of its own kind.
        """
        check = Check(name, late, self.deadline)
        check.begin(work, self._resolver, self._memory, self._pool)
        return check
