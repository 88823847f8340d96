"""How many requests a key may make: one after another at a steady rate, some of them at once."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass

KEYS_KEPT = 10_000  # the least recently used are forgotten: they have long been quiet


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What is left to a key, as RateLimit-* fields tell it (draft-ietf-httpapi-ratelimit-headers-06)."""

    limit: int  # requests in a minute
    remaining: int  # that could be made now
    reset_s: int  # until all of them can be made again
    is_exceeded: bool = False
    retry_after_s: int = 0


class Rates:
    """
    The generic cell rate algorithm, in this process: each replica counts for itself.

    Args:
        per_minute: Requests of one key; 0: no limit.
    """

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._interval_s = 60 / per_minute if per_minute else 0.0
        self._lock = threading.Lock()
        self._full_at: OrderedDict[str, float] = OrderedDict()  # when all of a key's minute is free again

    def take(self, key_id: str, now_s: float) -> Allowance | None:
        """Return what is left to the key after this request, or that it is one too many; None: no limit."""
        if not self.per_minute:
            return None
        with self._lock:
            # No more than a minute ahead: a clock that was put back locks nobody out.
            full_at = min(max(self._full_at.get(key_id, now_s), now_s), now_s + 60)
            after = full_at + self._interval_s
            is_exceeded = after - now_s > 60 + self._interval_s / 2
            if is_exceeded:
                after = full_at
            self._full_at[key_id] = after
            self._full_at.move_to_end(key_id)
            if len(self._full_at) > KEYS_KEPT:
                self._full_at.popitem(last=False)
        used_s = after - now_s
        return Allowance(
            limit=self.per_minute,
            remaining=max(0, math.floor((60 - used_s) / self._interval_s + 0.5)),
            reset_s=math.ceil(used_s),
            is_exceeded=is_exceeded,
            retry_after_s=max(1, math.ceil(self._interval_s)) if is_exceeded else 0,
        )
