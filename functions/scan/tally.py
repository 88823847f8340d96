"""
How often things were seen in the last minutes: a table of a fixed size that processes may share.

What is kept of a thing is eight octets of its digest and ten numbers. A row that is needed for
something else is taken from what was not seen for longest; a count is then too low, never too high.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

from mailchute.errors import BadSetting

MINUTES_COUNT = 10
ROWS = 16_384  # 512 KiB; a busy host sees fewer texts in ten minutes
WAYS = 4  # rows in which a thing may stand

_ROW = struct.Struct(f"<QI{MINUTES_COUNT}H")  # digest, minute of the last number, numbers by minute
_SET_OCTETS = WAYS * _ROW.size
_TABLE_OCTETS = ROWS * _ROW.size
_COUNT_MAX = 0xFFFF


class Tally:
    """
    The table; safe from threads, and from processes that share its file.

    Args:
        file: Made where it is not; best in memory (tmpfs). None: the table is this process's own.

    Raises:
        BadSetting: The file cannot be used.
    """

    def __init__(self, file: Path | None) -> None:
        self._lock = threading.Lock()
        self._descriptor = -1 if file is None else _opened(file)
        self._table = mmap.mmap(self._descriptor, _TABLE_OCTETS)

    def count(self, digest: bytes, minute: int) -> int:
        """
        Count one more; return how many there were in the last MINUTES_COUNT minutes.

        Args:
            digest: SHA-256 of the thing.
            minute: Now, on a clock that all who share the table read alike.
        """
        tag = int.from_bytes(digest[:8], "little") or 1  # 0 is a row nobody uses
        start = int.from_bytes(digest[8:12], "little") % (ROWS // WAYS) * _SET_OCTETS
        minute &= 0xFFFF_FFFF
        with self._lock, self._alone(start):
            rows = [_ROW.unpack_from(self._table, start + way * _ROW.size) for way in range(WAYS)]
            tags = [row[0] for row in rows]
            way = tags.index(tag) if tag in tags else min(range(WAYS), key=lambda way: rows[way][1])
            known, last, *numbers = rows[way]
            if known != tag or not 0 <= minute - last < MINUTES_COUNT:  # a clock that went back begins anew
                numbers = [0] * MINUTES_COUNT
            else:
                for passed in range(last + 1, minute + 1):
                    numbers[passed % MINUTES_COUNT] = 0
            at = minute % MINUTES_COUNT
            numbers[at] = min(numbers[at] + 1, _COUNT_MAX)
            _ROW.pack_into(self._table, start + way * _ROW.size, tag, minute, *numbers)
        return sum(numbers)

    @contextlib.contextmanager
    def _alone(self, start: int) -> Iterator[None]:
        """Keep other processes out of these rows; the kernel lets go for one that is killed."""
        if self._descriptor < 0:
            yield
            return
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _SET_OCTETS, start)
        except (
            OSError
        ):  # in use for microseconds, or its process hangs: rather a number lost than a mail late
            yield
            return
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, _SET_OCTETS, start)


def _opened(file: Path) -> int:
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if os.fstat(descriptor).st_size != _TABLE_OCTETS:
            os.ftruncate(descriptor, _TABLE_OCTETS)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, _TABLE_OCTETS)  # a full disk says so now, not as SIGBUS later
    except OSError as error:
        raise BadSetting(f"MAILCHUTE_BURSTS_FILE is {str(file)!r}: {error.strerror}") from None
    return descriptor
