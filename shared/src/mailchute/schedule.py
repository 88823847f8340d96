"""When the next attempt is due. It goes by age, so crashes, pauses and resets cost and add nothing."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from itertools import accumulate

# Seconds between attempts; the example schedule of Standard Webhooks, "Retry schedule".
GAPS_S: tuple[float, ...] = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
DEAD_RETENTION_S = 14 * 86_400  # what is dead is kept this long for a replay
JITTER = 0.2  # a gap varies by at most this share, either way
EARLY = 0.1  # an attempt in the last tenth of a gap counts as the one due at its end
RETRY_AFTER_LIMIT = 2  # Retry-After is heeded up to this many times our own delay


def offsets_of(delivery_id: str, gaps_s: tuple[float, ...] = GAPS_S) -> tuple[float, ...]:
    """
    Return when each attempt of this delivery is due, in seconds after the first.

    The jitter is drawn from the delivery's id, so that any connector at any time finds the same.
    """
    seed = hashlib.sha256(delivery_id.encode()).digest()
    return tuple(
        accumulate(
            gap_s * (1 + JITTER * (seed[index % len(seed)] / 127.5 - 1)) for index, gap_s in enumerate(gaps_s)
        )
    )


def attempt_number_of(delivery_id: str, *, age_s: float, gaps_s: tuple[float, ...] = GAPS_S) -> int:
    """
    Return which attempt of the schedule one made at this age is; counts from 1.

    One made in the last tenth of a gap counts as the one due at its end: clocks of two machines
    differ, and an attempt that is early by that much must not be made twice.
    """
    return max(1, sum(reached_s <= age_s for reached_s in _reached(delivery_id, gaps_s)))


def next_attempt_in_s(
    delivery_id: str,
    *,
    first_attempt_at: datetime,
    attempted_at: datetime,
    now: datetime,
    retry_after_s: float | None = None,
    gaps_s: tuple[float, ...] = GAPS_S,
) -> float | None:
    """
    Return how many seconds from `now` the next attempt is due (0 when it is overdue).

    Args:
        first_attempt_at: When the first attempt began.
        attempted_at: When the attempt that just failed began.
        retry_after_s: What the endpoint asked for, counted from now; heeded up to RETRY_AFTER_LIMIT
            times the gap between that attempt and the next.

    Returns:
        None when the failed attempt was made at or past the last offset: the schedule is exhausted.
    """
    age_s = (attempted_at - first_attempt_at).total_seconds()
    attempt = attempt_number_of(delivery_id, age_s=age_s, gaps_s=gaps_s)
    offsets = offsets_of(delivery_id, gaps_s)
    if attempt == len(offsets):
        return None
    due_s = offsets[attempt]
    delay_s = max(0.0, (first_attempt_at + timedelta(seconds=due_s) - now).total_seconds())
    if retry_after_s is not None:
        delay_s = max(delay_s, min(retry_after_s, RETRY_AFTER_LIMIT * (due_s - age_s)))
    return delay_s


def _reached(delivery_id: str, gaps_s: tuple[float, ...]) -> tuple[float, ...]:
    offsets = offsets_of(delivery_id, gaps_s)
    former = (0.0, *offsets)
    return tuple(
        offset_s - EARLY * (offset_s - before_s) for offset_s, before_s in zip(offsets, former, strict=False)
    )
