"""
What the processes of one host count together: a table in shared memory, a row per process.

Each process writes its own row only, so nothing is locked and nothing is left locked by one that was
killed; a count is the sum of its column. Two processes that look in the same instant may both let the last
one in: limits are exact to the number of processes.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable

CELL_OCTETS = 8
BUCKETS = 4_096  # of networks and of aliases; two that share one are counted together
RATE_CELLS = 3  # of a bucket: the number of its window, the count in it, the count in the one before
WINDOW_S = 60.0

GAUGES = ("connections", "octets", "through")  # they fall to nothing with their process
COUNTERS = (
    "accepted",
    "duplicates",
    "notifications",
    "connections_made",
    "connections_refused",
    "recipients_refused",
    "mails_refused",
    "mails_deferred",
    "content_octets",
    "accept_seconds_micro",
    "tls_handshakes",
    "errors",
)

_NETWORKS = len(GAUGES)
_COUNTERS = _NETWORKS + BUCKETS
_RATES = _COUNTERS + len(COUNTERS)
_ROW = _RATES + BUCKETS * RATE_CELLS


class Board:
    """
    The table. Make it before the processes are forked.

    Args:
        clock: Seconds, the same in all processes of the host.
    """

    def __init__(self, rows: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.rows = rows
        self._clock = clock
        self._cells = memoryview(mmap.mmap(-1, rows * _ROW * CELL_OCTETS)).cast("q")

    def row(self, index: int) -> Row:
        """Return the row that the process of this number writes."""
        return Row(self, self._cells, index * _ROW, self._clock)

    def vacate(self, index: int) -> None:
        """The process of this row is gone; what it held it holds no more. What it had counted stays."""
        start = index * _ROW
        for cell in range(start, start + _COUNTERS):
            self._cells[cell] = 0

    def total(self, cell: int) -> int:
        return sum(self._cells[cell::_ROW])

    def rate(self, bucket: int, window: int, share_left: float) -> float:
        """Return what all counted in the last WINDOW_S, as two fixed windows tell it."""
        found = 0.0
        for row in range(self.rows):
            at = row * _ROW + _RATES + bucket * RATE_CELLS
            number, current, before = self._cells[at : at + RATE_CELLS]
            if number == window:
                found += current + before * share_left
            elif number == window - 1:
                found += current * share_left
        return found


class Row:
    """One process's part of the table, and the view of all of it."""

    def __init__(self, board: Board, cells: memoryview, start: int, clock: Callable[[], float]) -> None:
        self.is_first = start == 0  # of all processes: what is to be done once is done by this one
        self._board = board
        self._cells = cells
        self._start = start
        self._clock = clock

    def hold(self, gauge: str, by: int) -> None:
        """Add to a gauge; a negative number takes away."""
        self._cells[self._start + _GAUGE[gauge]] += by

    def held(self, gauge: str) -> int:
        """Return the gauge over all processes."""
        return self._board.total(_GAUGE[gauge])

    def count(self, counter: str, by: int = 1) -> None:
        self._cells[self._start + _COUNTERS + _COUNTER[counter]] += by

    def counted(self, counter: str) -> int:
        """Return the counter over all processes."""
        return self._board.total(_COUNTERS + _COUNTER[counter])

    def join(self, network: bytes, by: int = 1) -> int:
        """Add a connection of this network, or take one away, and return how many it has."""
        cell = _NETWORKS + bucket_of(network)
        self._cells[self._start + cell] += by
        return self._board.total(cell)

    def tick(self, name: bytes) -> float:
        """Count one event of this name, and return how many there were in the last minute."""
        bucket = bucket_of(name)
        window = int(self._clock() / WINDOW_S)
        at = self._start + _RATES + bucket * RATE_CELLS
        if self._cells[at] != window:
            self._cells[at + 2] = self._cells[at + 1] if self._cells[at] == window - 1 else 0
            self._cells[at + 1] = 0
            self._cells[at] = window
        self._cells[at + 1] += 1
        return self.rate(name)

    def rate(self, name: bytes) -> float:
        """Return how many events of this name there were in the last minute."""
        passed = self._clock() / WINDOW_S
        return self._board.rate(bucket_of(name), int(passed), 1 - (passed - int(passed)))


def bucket_of(name: bytes) -> int:
    # Python's own hash is keyed anew with each start, and forked processes share the key: nobody can look
    # for networks of his that share a bucket with somebody else's.
    return hash(name) % BUCKETS


_GAUGE = {name: index for index, name in enumerate(GAUGES)}
_COUNTER = {name: index for index, name in enumerate(COUNTERS)}
