"""When the next attempt is due. It goes by age, so crashes, pauses and resets cost and add nothing."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from itertools import accumulate

# Seconds between attempts; the example schedule of Standard Webhooks, "Retry schedule".
GAPS_S: tuple[float, ...] = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
JITTER = 0.2  # a gap varies by at most this share, either way
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
        retry_after_s: What the endpoint asked for, counted from now.

    Returns:
        None when the failed attempt was made at or past the last offset: the schedule is exhausted.
    """
    age_s = (attempted_at - first_attempt_at).total_seconds()
    due_s = next((s for s in offsets_of(delivery_id, gaps_s) if s > age_s), None)
    if due_s is None:
        return None
    delay_s = max(0.0, (first_attempt_at + timedelta(seconds=due_s) - now).total_seconds())
    if retry_after_s is not None:
        delay_s = min(max(delay_s, retry_after_s), RETRY_AFTER_LIMIT * delay_s)
    return delay_s
