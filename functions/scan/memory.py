"""Conclusions remembered with the answers they rest on, to be used again while those are the same."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from mailchute.answers import Answer

KEPT_COUNT = 8_192  # about 1 KB each

Conclusion = tuple[Any, tuple[Answer, ...]]  # the value, and every answer that led to it


class Memory:
    """Keeps the conclusions last used; safe from threads."""

    def __init__(self, kept_count: int = KEPT_COUNT) -> None:
        self._kept_count = kept_count
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Conclusion] = OrderedDict()

    def get(self, key: Hashable) -> Conclusion | None:
        with self._lock:
            known = self._kept.get(key)
            if known is not None:
                self._kept.move_to_end(key)
            return known

    def put(self, key: Hashable, conclusion: Conclusion) -> None:
        with self._lock:
            self._kept[key] = conclusion
            self._kept.move_to_end(key)
            if len(self._kept) > self._kept_count:
                self._kept.popitem(last=False)
