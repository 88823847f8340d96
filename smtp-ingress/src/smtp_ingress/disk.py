"""The disk that NATS writes to, where this process can see it."""

from __future__ import annotations

import os
from pathlib import Path


class Disk:
    """
    A full disk makes JetStream silent: publishes time out, none is refused. So it is looked at beforehand.

    Args:
        path: A directory on it; None, there is nothing to look at.
        least_octets: With less free than this it counts as full.
    """

    def __init__(self, path: Path | None, *, least_octets: int) -> None:
        self._path = path
        self._least_octets = least_octets
        self.is_ready = True
        self.is_full = False

    def look(self) -> None:
        if self._path is not None:
            try:
                found = os.statvfs(self._path)
            except OSError:  # it is gone, or its device is: nothing says that a mail would find room
                self.is_full = True
            else:
                self.is_full = found.f_bavail * found.f_frsize < self._least_octets
