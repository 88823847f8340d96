"""An even pace: so many POSTs a second as the endpoint asks for, none of them in a burst."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """
    One endpoint's, in this connector: two connectors keep it each.

    It is learned from deliver with every outcome, so that a change holds for what already waits.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_at = 0.0
        self.rate_per_s: float | None = None  # None: no limit

    def take(self, wait_max_s: float | None = None) -> float | None:
        """
        Take the next turn.

        Returns:
            How many seconds to wait for it; None when that is over `wait_max_s`: none was taken.
        """
        if self.rate_per_s is None:
            return 0.0
        now = self._clock()
        turn_at = max(now, self._next_at)
        wait_s = turn_at - now
        if wait_max_s is not None and wait_s > wait_max_s:
            return None
        self._next_at = turn_at + 1 / self.rate_per_s
        return wait_s
