"""Campaigns: the same text from one sender, over and over, to the mailboxes of one domain."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

WINDOW_S = 600.0
KEPT_COUNT = 20_000  # fingerprints; the least used go first
TIMES_MAX_COUNT = 1_000  # of one fingerprint
TEXT_MAX_CHARS = 4_000

_LINK = re.compile(r"://\S+")
_VARIABLE = b"0123456789 \t\r\n"  # what differs from copy to copy


class Bursts:
    """
    Counts how often a text was seen of late; safe from threads, for this process alone.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[bytes, deque[float]] = OrderedDict()

    def count(self, *, author_domain: str, recipient_domain: str, subject: str, text: str) -> int:
        """Return how many mails of this fingerprint came within the window, this one included."""
        shown = _LINK.sub("", f"{subject}\n{text[:TEXT_MAX_CHARS]}").encode("utf-8", "replace")
        told = f"{recipient_domain}\x00{author_domain}\x00".encode("utf-8", "replace")
        key = hashlib.sha256(told + shown.translate(None, _VARIABLE).lower()).digest()
        now = self._clock()
        with self._lock:
            times = self._seen.setdefault(key, deque(maxlen=TIMES_MAX_COUNT))
            self._seen.move_to_end(key)
            while times and times[0] <= now - WINDOW_S:
                times.popleft()
            times.append(now)
            if len(self._seen) > KEPT_COUNT:
                self._seen.popitem(last=False)
            return len(times)
