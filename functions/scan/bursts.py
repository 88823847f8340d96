"""Campaigns: the same text from one sender, over and over, to the mailboxes of one domain."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path

from .tally import MINUTES_COUNT, Tally

WINDOW_S = 60.0 * MINUTES_COUNT
TEXT_MAX_CHARS = 4_000

_LINK = re.compile(r"://\S+")
_VARIABLE = b"0123456789 \t\r\n"  # what differs from copy to copy


class Bursts:
    """
    Counts how often a text was seen of late; safe from threads.

    Args:
        file: Where the processes of this host count together; None: this one counts alone.
        clock: Seconds, the same in all processes of the host.

    Raises:
        BadSetting: The file cannot be used.
    """

    def __init__(self, file: Path | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tally = Tally(file)

    def count(self, *, author_domain: str, recipient_domain: str, subject: str, text: str) -> int:
        """Return how many mails of this fingerprint came within the window, this one included."""
        shown = _LINK.sub("", f"{subject}\n{text[:TEXT_MAX_CHARS]}").encode("utf-8", "replace")
        told = f"{recipient_domain}\x00{author_domain}\x00".encode("utf-8", "replace")
        key = hashlib.sha256(told + shown.translate(None, _VARIABLE).lower()).digest()
        return self._tally.count(key, int(self._clock() / 60.0))
