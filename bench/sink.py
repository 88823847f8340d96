"""
A webhook receiver that costs little: HTTP/1.1 with keep-alive, one journal line for each POST.

/ok answers 200, /broken 500, /hang never; /mended answers 500 until SIGUSR1, and 200 from then on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import time
from pathlib import Path
from typing import cast

import uvloop

from bench.mails import TOKEN

FLUSH_S = 0.05  # how long a line may wait before the driver can see it
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
_BROKEN = b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"
_NEEDS_LENGTH = b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Journal:
    """The POSTs received, as lines "token path received_ns size_octets"."""

    def __init__(self, path: Path) -> None:
        self.is_mended = False
        self._file = path.open("ab", buffering=0)
        self._lines: list[bytes] = []

    def add(self, path: bytes, body: bytearray) -> None:
        found = TOKEN.search(body)
        token = found[0] if found else b"-"
        self._lines.append(b"%b %b %d %d\n" % (token, path, time.monotonic_ns(), len(body)))

    def mend(self) -> None:
        self.is_mended = True

    async def flush_for_ever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            self.flush()

    def flush(self) -> None:
        if self._lines:
            self._file.write(b"".join(self._lines))
            self._lines.clear()


class Receiver(asyncio.Protocol):
    """One connection."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._buffer = bytearray()
        self._body_at = 0  # where the body begins; 0: the head is not complete
        self._end = 0
        self._path = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its bases

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._buffer and self._advance():
            pass

    def _advance(self) -> bool:
        if not self._body_at and not self._read_head():
            return False
        if len(self._buffer) < self._end:
            return False
        self._journal.add(self._path, self._buffer[self._body_at : self._end])
        del self._buffer[: self._end]
        self._body_at = 0
        if self._path.startswith(b"/ok"):
            self._transport.write(_OK)
        elif self._path.startswith(b"/mended"):
            self._transport.write(_OK if self._journal.is_mended else _BROKEN)
        elif self._path.startswith(b"/broken"):
            self._transport.write(_BROKEN)
        return True

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        request, *fields = bytes(self._buffer[:end]).split(b"\r\n")
        sizes = [field[15:] for field in fields if field[:15].lower() == b"content-length:"]
        if not sizes:
            self._transport.write(_NEEDS_LENGTH)
            self._transport.close()
            self._buffer.clear()
            return False
        self._path = request.split(b" ")[1]
        self._body_at = end + 4
        self._end = self._body_at + int(sizes[0])
        return True


async def serve(port: int, path: Path) -> None:
    """Receive on 127.0.0.1 until SIGTERM, then write what is left of the journal."""
    journal = Journal(path)
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    loop.add_signal_handler(signal.SIGUSR1, journal.mend)
    await loop.create_server(lambda: Receiver(journal), "127.0.0.1", port, backlog=1024)
    flushing = asyncio.create_task(journal.flush_for_ever())
    print("ready", flush=True)
    await stopped.wait()
    flushing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await flushing
    journal.flush()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--journal", type=Path, required=True)
    options = arguments.parse_args()
    uvloop.run(serve(options.port, options.journal))


if __name__ == "__main__":
    main()
