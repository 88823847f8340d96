"""One timer per connection, moved forward cheaply."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Watchdog:
    """
    Calls `on_late` once the moment last set has passed.

    Moving it later costs no timer: the one that runs looks, when it fires, whether there is time left.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_late: Callable[[], None], *, total_s: float
    ) -> None:
        self._loop = loop
        self._on_late = on_late
        self._end = loop.time() + total_s  # no setting reaches beyond it
        self._at = self._end
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = 0.0
        self._is_stopped = False

    def set(self, seconds: float) -> None:
        self._at = min(self._loop.time() + seconds, self._end)
        if not self._is_stopped and (self._timer is None or self._at < self._fires_at):
            self._schedule()

    def rest(self) -> None:
        """Nothing is asked of the client for now; the end of the whole session still holds."""
        self._at = self._end

    def stop(self) -> None:
        """Never call again; a timer left running would keep a connection's memory until it fires."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires_at = self._at
        self._timer = self._loop.call_at(self._at, self._fire)

    def _fire(self) -> None:
        if self._loop.time() < self._at - 0.001:
            self._schedule()
        else:
            self._on_late()
