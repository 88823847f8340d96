"""Killed at any moment, the edge keeps every mail that it answered 250, each once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from mailchute import wire
from mailchute.mail import MailObject
from mailchute.subjects import MAIL

from tests.ingress.edge_process import EdgeProcess, Jet, until

Start = Callable[..., EdgeProcess]
KILLS = int(os.environ.get("EDGE_KILLS", "30"))  # `python -m bench.edge_faults --kills 300`
PROCESSES = 4
WORKERS = 12


class Senders:
    """Clients that send one mail after the other, each until it was answered 250."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answered: Counter[str] = Counter()  # tokens of mails answered 250
        self.cut_count = self.resent_count = self.known_count = 0
        self.other: list[bytes] = []
        self.is_over = False

    async def run(self) -> None:
        await asyncio.gather(*(self._worker() for _ in range(WORKERS)))

    async def _worker(self) -> None:
        while not self.is_over:
            token = uuid.uuid4().hex
            for tries in range(10_000):
                try:
                    reply = await self._send(token)
                except OSError:
                    reply = b""
                if reply.startswith(b"250"):
                    self.answered[token] += 1
                    self.resent_count += tries > 0
                    self.known_count += b"already have" in reply
                    break
                self.cut_count += not reply
                if reply:
                    self.other.append(reply)
                await asyncio.sleep(0.01)

    async def _send(self, token: str) -> bytes:
        """Return the reply to the mail; b"" when the connection was cut."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            if not await reader.readline():
                return b""
            for command in (b"HELO x", b"MAIL FROM:<a@b.test>", b"RCPT TO:<support@inbox.test>", b"DATA"):
                writer.write(command + b"\r\n")
                reply = await reader.readline()
                if not reply.startswith((b"250", b"354")):
                    return reply
            writer.write(f"Subject: {token}\r\n\r\n{'x' * 70}\r\n.\r\n".encode())
            return await reader.readline()
        finally:
            writer.close()


def children_of(edge: EdgeProcess) -> list[int]:
    pid = edge.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def listening_count(edge: EdgeProcess) -> int:
    return sum(event["event"] == "listening" for event in edge.events)


async def kill_on_and_on(edge: EdgeProcess, senders: Senders, kills: int) -> None:
    source = random.Random(7)
    done = 0
    while done < kills:
        await asyncio.sleep(source.uniform(0.05, 0.4))
        children = children_of(edge)
        if len(children) < PROCESSES - 1:
            continue  # let one come back, so that there is something to kill
        with contextlib.suppress(ProcessLookupError):
            os.kill(source.choice(children), signal.SIGKILL)
            done += 1
    senders.is_over = True


def tokens_of(jet: Jet) -> Counter[str]:
    found: Counter[str] = Counter()
    for body in jet.bodies(MAIL):
        mail = wire.decode(body, MailObject)
        assert isinstance(mail.content, bytes)
        content = mail.content[mail.trace_octets :]
        assert content.endswith(b"x" * 70 + b"\r\n"), "half a mail"
        found[content[len(b"Subject: ") :].partition(b"\r\n")[0].decode()] += 1
    return found


def test_kill_9_at_random_moments_loses_nothing_and_doubles_nothing(jet: Jet, start_edge: Start) -> None:
    edge = start_edge(SMTP_PROCESSES=str(PROCESSES))
    until(lambda: listening_count(edge) == PROCESSES, "all processes")
    senders = Senders(edge.port)

    async def both() -> None:
        await asyncio.gather(senders.run(), kill_on_and_on(edge, senders, KILLS))

    began_at = time.monotonic()
    asyncio.run(both())
    stored = tokens_of(jet)
    print(
        f"{KILLS} kills in {time.monotonic() - began_at:.0f} s; {len(senders.answered)} mails answered 250, "
        f"{senders.cut_count} connections cut, {senders.resent_count} mails sent again, "
        f"{senders.known_count} of them known already; lost {len(senders.answered.keys() - stored.keys())}, "
        f"stored twice {sum(count > 1 for count in stored.values())}"
    )
    assert senders.answered.keys() == stored.keys()
    assert set(stored.values()) == {1}
    assert all(reply.startswith((b"451", b"421")) for reply in senders.other), senders.other[:5]
    assert senders.resent_count >= KILLS / 10  # kills did meet mails under way
