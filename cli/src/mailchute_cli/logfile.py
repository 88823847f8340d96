"""A log file that turns over by size."""

from __future__ import annotations

from pathlib import Path
from typing import IO

SIZE_OCTETS = 10 * 1024 * 1024
KEPT_COUNT = 3  # old ones: name.log.1 is the youngest


class LogFile:
    """Takes octets as they come; a full disk loses log lines and nothing else."""

    def __init__(self, path: Path, *, size_octets: int = SIZE_OCTETS) -> None:
        self.path = path
        self._limit_octets = size_octets
        self._file: IO[bytes] = path.open("ab")

    def write(self, octets: bytes) -> None:
        try:
            self._file.write(octets)
            self._file.flush()
            if self._file.tell() > self._limit_octets:
                self._turn_over()
        except OSError:
            return

    def close(self) -> None:
        self._file.close()

    def _turn_over(self) -> None:
        self._file.close()
        for number in range(KEPT_COUNT, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            newer = self.path if number == 1 else self.path.with_name(f"{self.path.name}.{number - 1}")
            if newer.exists():
                newer.replace(older)
        self._file = self.path.open("ab")
