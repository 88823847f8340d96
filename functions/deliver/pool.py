"""Connections that lie idle between two attempts for the same route."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from .connection import Connection, Route

# Most servers close earlier (Node and uvicorn after 5 s), which is_stale sees and a redial mends; firewalls
# forget an idle connection silently, which costs an attempt its whole time.
IDLE_MAX_S = 30.0
IDLE_MAX_COUNT = 1_024  # file descriptors held for nothing but speed
SWEEP_S = 2.0


class Pool:
    """Keeps idle connections, newest first, for a short while. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: dict[Route, deque[tuple[float, Connection]]] = {}
        self._count = 0
        self._swept_at = clock()

    def take(self, route: Route) -> Connection | None:
        """Return an idle connection of this route that is still open; None when there is none."""
        oldest_s = self._clock() - IDLE_MAX_S
        while True:
            with self._lock:
                idle = self._idle.get(route)
                if not idle:
                    return None
                since_s, connection = idle.pop()
                self._count -= 1
            if since_s >= oldest_s and not connection.is_stale():
                return connection
            connection.close()

    def put(self, connection: Connection) -> None:
        """Keep a connection whose last answer was read to its end."""
        now_s = self._clock()
        with self._lock:
            old = self._sweep(now_s) if now_s - self._swept_at >= SWEEP_S else []
            if self._count < IDLE_MAX_COUNT:
                self._idle.setdefault(connection.route, deque()).append((now_s, connection))
                self._count += 1
            else:
                old.append(connection)
        for each in old:
            each.close()

    def close(self) -> None:
        """Close all that lie idle."""
        with self._lock:
            idle, self._idle, self._count = self._idle, {}, 0
        for queue in idle.values():
            for _, connection in queue:
                connection.close()

    def _sweep(self, now_s: float) -> list[Connection]:
        self._swept_at = now_s
        old: list[Connection] = []
        for route, idle in list(self._idle.items()):
            while idle and idle[0][0] < now_s - IDLE_MAX_S:
                old.append(idle.popleft()[1])
            if not idle:
                del self._idle[route]
        self._count -= len(old)
        return old
