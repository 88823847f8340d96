"""The load generator: sends a spool over SMTP in a process of its own and writes the ledger."""

from __future__ import annotations

import argparse
import asyncio
import resource
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import uvloop

from bench.spool import Entry, Spool

STUCK_S = 120.0  # a session without a reply this long is given up and counted as refused


@dataclass(frozen=True, kw_only=True)
class Order:
    """How to send."""

    port: int
    connections: int
    reuse: bool  # False: a connection for each mail
    interval_s: float  # between two mails; 0: as fast as replies come


class Work:
    """What is to be sent, and the ledger of what came of it."""

    def __init__(self, spool: Spool) -> None:
        self._left = deque(spool.read())
        self.rows: list[str] = []

    def has_more(self) -> bool:
        return bool(self._left)

    def take(self) -> tuple[Entry, memoryview] | None:
        return self._left.popleft() if self._left else None

    def settle(self, entry: Entry, code: str, began_ns: int, dot_ns: int, replied_ns: int) -> None:
        self.rows.append(f"{entry.token} {entry.kind} {code} {began_ns} {dot_ns} {replied_ns}\n")


class Session(asyncio.Protocol):
    """One SMTP session, a reply at a time: no pipelining, for not every server offers it."""

    def __init__(self, work: Work, order: Order, finished: Callable[[], None]) -> None:
        self._work, self._order, self._finished = work, order, finished
        self._step: Callable[[bytes], None] = self._on_banner
        self._began_ns = time.monotonic_ns()
        self._line = b""
        self._mail: tuple[Entry, memoryview] | None = None
        self._dot_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its bases
        self._timer = asyncio.get_running_loop().call_later(STUCK_S, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        data = self._line + data if self._line else data
        *lines, self._line = data.split(b"\r\n")
        for line in lines:
            if line[3:4] != b"-":  # the last line of a reply (RFC 5321, 4.2.1)
                self._step(line[:3])

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        if self._mail is not None:
            self._settle(b"000")
        self._finished()

    def _send(self, command: bytes, step: Callable[[bytes], None]) -> None:
        self._step = step
        self._transport.write(command)

    def _on_banner(self, code: bytes) -> None:
        if code == b"220":
            self._send(b"EHLO mail.sender.test\r\n", self._on_ehlo)
        else:
            self._transport.close()

    def _on_ehlo(self, code: bytes) -> None:
        self._next()

    def _next(self) -> None:
        self._mail = self._work.take()
        if self._mail is None:
            self._send(b"QUIT\r\n", self._on_quit)
            return
        self._send(b"MAIL FROM:<%b>\r\n" % self._mail[0].sender.encode(), self._on_mail)

    def _on_mail(self, code: bytes) -> None:
        assert self._mail is not None
        self._send(b"RCPT TO:<%b>\r\n" % self._mail[0].recipient.encode(), self._on_rcpt)

    def _on_rcpt(self, code: bytes) -> None:
        if code == b"250":
            self._send(b"DATA\r\n", self._on_data)
        else:
            self._settle(code)
            self._send(b"RSET\r\n", self._on_settled)

    def _on_data(self, code: bytes) -> None:
        assert self._mail is not None
        if code != b"354":
            self._settle(code)
            self._send(b"RSET\r\n", self._on_settled)
            return
        self._step = self._on_dot
        self._transport.write(self._mail[1])
        self._dot_ns = time.monotonic_ns()

    def _on_dot(self, code: bytes) -> None:
        self._settle(code)
        self._on_settled(code)

    def _settle(self, code: bytes) -> None:
        assert self._mail is not None
        now_ns = time.monotonic_ns()
        self._work.settle(self._mail[0], code.decode(), self._began_ns, self._dot_ns or now_ns, now_ns)
        self._mail = None

    def _on_settled(self, code: bytes) -> None:
        if not self._order.reuse:
            self._send(b"QUIT\r\n", self._on_quit)
        elif self._order.interval_s:
            asyncio.get_running_loop().call_later(self._order.interval_s, self._begin)
        else:
            self._begin()

    def _begin(self) -> None:
        self._began_ns = time.monotonic_ns()
        self._next()

    def _on_quit(self, code: bytes) -> None:
        self._transport.close()


async def send(spool: Spool, order: Order) -> Work:
    """Send the whole spool; return the work with its ledger."""
    work = Work(spool)
    loop = asyncio.get_running_loop()

    async def keep_sending() -> None:
        while work.has_more():
            finished = asyncio.Event()
            session = partial(Session, work, order, finished.set)
            try:
                await loop.create_connection(session, "127.0.0.1", order.port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            await finished.wait()
            if order.interval_s and not order.reuse:
                await asyncio.sleep(order.interval_s)

    await asyncio.gather(*(keep_sending() for _ in range(order.connections)))
    return work


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--spool", type=Path, required=True)
    arguments.add_argument("--ledger", type=Path, required=True)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--connections", type=int, default=16)
    arguments.add_argument("--reuse", action="store_true")
    arguments.add_argument("--interval-s", type=float, default=0.0)
    options = arguments.parse_args()
    order = Order(
        port=options.port,
        connections=options.connections,
        reuse=options.reuse,
        interval_s=options.interval_s,
    )
    before = resource.getrusage(resource.RUSAGE_SELF)
    work = uvloop.run(send(Spool(options.spool), order))
    after = resource.getrusage(resource.RUSAGE_SELF)
    options.ledger.write_text("".join(work.rows))
    print("sent", after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, flush=True)


if __name__ == "__main__":
    main()
