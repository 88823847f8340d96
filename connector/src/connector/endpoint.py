"""What an endpoint can bear just now: how many attempts at once, and whether any at all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from connector.pace import Pace

CAP_START = 4.0
CAP_MAX = 64.0
CAP_WITHOUT_SUCCESS = 1.0
SUCCESS_IS_RECENT_S = 60.0
BREAKER_FAILURES = 5  # in a row, then nothing is sent for a while
PAUSE_MIN_S, PAUSE_MAX_S = 2.0, 120.0  # doubling with each probe that fails
WAIT_S = 0.25  # for a place under the cap, then it is diverted to a lane
SLOW_S = 1.0  # an attempt that takes longer counts as slow
NEVER = datetime.fromtimestamp(0, UTC)


class EndpointLoad:
    """
    One endpoint's in-flight cap and breaker, as this connector knows them.

    The cap starts at 4, is 1 after failures without a recent success, grows by one with each success and
    halves with each failure. The breaker opens after five failures in a row; when its pause is over,
    one attempt probes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.in_flight_count = 0
        self.slow_count = 0
        self._cap = CAP_START
        self._failure_count = 0  # in a row
        self._succeeded_at: float | None = None
        self._pause_s = PAUSE_MIN_S
        self._open_until = 0.0
        self._waiting: dict[asyncio.Future[bool], bool] = {}  # in their order: is it despite the breaker?
        self.pace = Pace(clock)
        self.forgiven_at = NEVER  # what failed before is due at once

    @property
    def cap(self) -> int:
        if self._failure_count >= BREAKER_FAILURES:
            return 1  # a probe
        if self._failure_count and not self._has_recent_success():
            return int(CAP_WITHOUT_SUCCESS)
        return int(self._cap)

    @property
    def is_open(self) -> bool:
        """Whether the breaker holds back every attempt."""
        return self._clock() < self._open_until

    @property
    def is_probing(self) -> bool:
        """Whether the breaker was open and nothing has succeeded since."""
        return self._failure_count >= BREAKER_FAILURES

    @property
    def open_for_s(self) -> float:
        return max(0.0, self._open_until - self._clock())

    @property
    def is_idle(self) -> bool:
        return not self.in_flight_count and not self._waiting and not self._failure_count

    async def enter(self, wait_s: float | None, *, despite_breaker: bool = False) -> bool:
        """
        Take a place under the cap; each True is given back by `leave`.

        Returns:
            False when none came free in `wait_s` (None: however long), or the breaker is open or opens.
        """
        if self.is_open and not despite_breaker:
            return False
        if self.in_flight_count < self.cap and not self._waiting:
            self.in_flight_count += 1
            return True
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[place] = despite_breaker
        try:
            async with asyncio.timeout(wait_s):
                return await place
        except (TimeoutError, asyncio.CancelledError) as error:
            if place.done() and not place.cancelled() and place.result():  # it came in the same moment
                self.leave()
            if isinstance(error, asyncio.CancelledError):
                raise
            return False
        finally:
            self._waiting.pop(place, None)

    def leave(self) -> None:
        self.in_flight_count -= 1
        self._admit()

    def succeeded(self) -> bool:
        """Take note of a success; True when the breaker closes by it."""
        is_closing = self.is_probing
        self._failure_count = 0
        self._succeeded_at = self._clock()
        self._cap = min(CAP_MAX, self._cap + 1)
        self._pause_s = PAUSE_MIN_S
        self._open_until = 0.0
        self._admit()
        return is_closing

    def failed(self) -> bool:
        """Take note of a failure; True when the breaker opens by it."""
        self._failure_count += 1
        self._cap = max(1.0, self._cap / 2)
        if self._failure_count < BREAKER_FAILURES or self.is_open:
            return False
        self._open_until = self._clock() + self._pause_s
        self._pause_s = min(2 * self._pause_s, PAUSE_MAX_S)
        for place, despite_breaker in self._waiting.items():
            if not despite_breaker and not place.done():
                place.set_result(False)
        return True

    def forgive(self) -> None:
        """A person says that it is back: try at once."""
        self._failure_count = 0
        self._pause_s = PAUSE_MIN_S
        self._open_until = 0.0
        self._cap = CAP_START
        self.forgiven_at = datetime.now(UTC)
        self._admit()

    @contextmanager
    def timing(self) -> Iterator[None]:
        """Count an attempt as slow from SLOW_S on."""
        is_slow = False

        def slow() -> None:
            nonlocal is_slow
            is_slow = True
            self.slow_count += 1

        timer = asyncio.get_running_loop().call_later(SLOW_S, slow)
        try:
            yield
        finally:
            timer.cancel()
            if is_slow:
                self.slow_count -= 1

    def _has_recent_success(self) -> bool:
        return self._succeeded_at is not None and self._clock() - self._succeeded_at < SUCCESS_IS_RECENT_S

    def _admit(self) -> None:
        while self._waiting and self.in_flight_count < self.cap:
            place = next(iter(self._waiting))
            del self._waiting[place]
            if not place.done():
                self.in_flight_count += 1
                place.set_result(True)


class EndpointLoads:
    """Every endpoint that has been seen; those without a story are forgotten again."""

    FORGET_OVER = 10_000

    def __init__(self) -> None:
        self._loads: dict[str, EndpointLoad] = {}

    @property
    def slow_count(self) -> int:
        return sum(load.slow_count for load in self._loads.values() if load.slow_count)

    def of(self, endpoint_id: str) -> EndpointLoad:
        load = self._loads.get(endpoint_id)
        if load is None:
            if len(self._loads) >= self.FORGET_OVER:
                self._loads = {key: each for key, each in self._loads.items() if not each.is_idle}
            load = self._loads[endpoint_id] = EndpointLoad()
        return load
