"""An even pace: so many POSTs a second as the endpoint asks for, none of them in a burst."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

LOOK_S = 1.0  # how soon who waits notices that the pace has changed


class Pace:
    """
    One endpoint's, in this connector: two connectors keep it each.

    It is learned from deliver with every outcome, so that a change holds for what already waits.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._turn = asyncio.Lock()  # whoever holds it has the next turn; the others wait in their order
        self._taken_at = float("-inf")
        self.rate_per_s: float | None = None  # None: no limit

    async def take(self, wait_max_s: float | None = None) -> bool:
        """
        Return once it is this one's turn.

        Returns:
            False when that would take longer than `wait_max_s` (None: however long): no turn was taken.
        """
        if self.rate_per_s is None:
            return True
        if wait_max_s is not None and (self._turn.locked() or self._wait_s() > wait_max_s):
            return False
        async with self._turn:
            while (wait_s := self._wait_s()) > 0:
                await self._sleep(min(wait_s, LOOK_S))
            self._taken_at = self._clock()
        return True

    def _wait_s(self) -> float:
        return 0.0 if self.rate_per_s is None else self._taken_at + 1 / self.rate_per_s - self._clock()
