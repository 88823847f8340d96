"""Killed, flooded, starved: nothing that was answered 250 is lost, and memory stays bounded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable

import pytest
from mailchute import wire
from mailchute.mail import MailObject
from mailchute.subjects import MAIL

from tests.ingress.edge_process import EdgeProcess, Jet, new_content
from tests.servers.nats import NatsServer

Start = Callable[..., EdgeProcess]
MEBIOCTETS = 1024 * 1024
BIG_MAILS, BIG_MEBIOCTETS = (  # `python -m bench.edge_faults --big 200x25`
    int(number) for number in os.environ.get("EDGE_BIG_MAILS", "40x8").split("x")
)


class Ledger:
    """What a load generator was answered."""

    def __init__(self) -> None:
        self.accepted: list[str] = []
        self.other: list[bytes] = []
        self.is_over = False  # set it to end the load before its time


async def send_on_and_on(port: int, ledger: Ledger, *, workers: int, seconds: float) -> None:
    """Send small mails over new connections until the time is over; broken connections are no matter."""
    end = time.monotonic() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await reader.readline()
            for command in (
                b"HELO x",
                b"MAIL FROM:<a@sender.test>",
                b"RCPT TO:<support@inbox.test>",
                b"DATA",
            ):
                writer.write(command + b"\r\n")
                await reader.readline()
            writer.write(new_content() + b".\r\n")
            reply = await reader.readline()
            if reply.startswith(b"250 2.0.0 accepted "):
                ledger.accepted.append(reply.split()[-1].decode())
            else:
                ledger.other.append(reply)
        finally:
            writer.close()

    async def worker() -> None:
        while time.monotonic() < end and not ledger.is_over:
            with contextlib.suppress(OSError):
                await one()

    await asyncio.gather(*(worker() for _ in range(workers)))


def stored_ids(jet: Jet) -> set[str]:
    return {wire.decode(body, MailObject).id for body in jet.bodies(MAIL)}


def test_kill_9_of_nats_under_load_loses_nothing_that_was_answered_250(
    jet: Jet, start_edge: Start, nats_server: NatsServer
) -> None:
    edge, ledger = start_edge(PUBLISH_TIMEOUT_S="1"), Ledger()
    load = threading.Thread(
        target=lambda: asyncio.run(send_on_and_on(edge.port, ledger, workers=8, seconds=3))
    )
    load.start()
    for _ in range(2):
        before = len(ledger.accepted)
        while len(ledger.accepted) < before + 30 and load.is_alive():
            time.sleep(0.001)
        nats_server.restart()
    load.join()
    assert set(ledger.accepted) <= stored_ids(jet)
    assert all(reply.startswith((b"451 4.3.0", b"250")) or not reply for reply in ledger.other), ledger.other


def test_a_client_that_hangs_up_after_its_dot_leaves_nothing_half(edge: EdgeProcess, streams: Jet) -> None:
    for _ in range(20):
        client = edge.client()
        client.helo()
        client.mail("ann@sender.test")
        client.rcpt("support@inbox.test")
        client.putcmd("data")
        client.getreply()
        client.sock.sendall(new_content() + b".\r\n")
        client.sock.close()
    edge.send(new_content(), "support@inbox.test")
    assert all(isinstance(mail.content, bytes) for mail in streams.mails())


def test_a_mail_of_25_mebioctets_takes_less_than_ten_of_memory(jet: Jet, start_edge: Start) -> None:
    edge = start_edge()
    edge.send(new_content("x" * 1000), "support@inbox.test")
    before, peak, is_over = edge.rss_octets(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not is_over.wait(0.002):
            peak = max(peak, edge.rss_octets())

    watcher = threading.Thread(target=watch)
    watcher.start()
    content = new_content(("x" * 76 + "\r\n") * (25 * MEBIOCTETS // 78 - 10))
    assert edge.send(content, "support@inbox.test").startswith("250")
    is_over.set()
    watcher.join()
    print(f"resident memory grew by {(peak - before) / MEBIOCTETS:.1f} MiB")
    assert peak - before < 10 * MEBIOCTETS


def test_many_big_mails_at_once_stay_within_the_memory_set_for_them(jet: Jet, start_edge: Start) -> None:
    """40 × 8 MiB against a budget of 16 MiB, where all of it at once would be 320."""
    count, size_octets = BIG_MAILS, BIG_MEBIOCTETS * MEBIOCTETS
    jet.delete("OBJ_content")
    jet.create(
        "OBJ_content",
        ["$O.content.C.>", "$O.content.M.>"],
        max_bytes=int(1.2 * count * size_octets),
        allow_rollup_hdrs=True,
        allow_direct=True,
    )
    edge = start_edge(MEMORY_OCTETS=str(16 * MEBIOCTETS))
    edge.send(new_content("x" * 1000), "support@inbox.test")
    before, peak = edge.rss_octets(), 0
    content = (b"x" * 76 + b"\r\n") * ((size_octets - 1_000) // 78)

    async def one() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        await reader.readline()
        for command in (b"HELO x", b"MAIL FROM:<a@sender.test>", b"RCPT TO:<support@inbox.test>", b"DATA"):
            writer.write(command + b"\r\n")
            reply = await reader.readline()
        if reply.startswith(b"354"):
            writer.write(new_content() + content + b".\r\n")
            await writer.drain()
            reply = await reader.readline()
        writer.close()
        return reply

    async def all_at_once() -> list[bytes]:
        nonlocal peak
        sending = asyncio.gather(*(one() for _ in range(count)))
        while not sending.done():
            peak = max(peak, edge.rss_octets())
            await asyncio.sleep(0.01)
        return await sending

    replies = asyncio.run(all_at_once())
    accepted = sum(reply.startswith(b"250") for reply in replies)
    print(
        f"{count} x {size_octets // MEBIOCTETS} MiB at once, 16 MiB set for them: {accepted} accepted, the "
        f"others 452; resident memory grew by {(peak - before) / MEBIOCTETS:.1f} MiB"
    )
    assert all(reply.startswith((b"250", b"452 4.3.1")) for reply in replies), replies
    assert accepted >= 4
    assert peak - before < 40 * MEBIOCTETS


def test_slow_clients_hold_little_and_hinder_nobody(jet: Jet, start_edge: Start) -> None:
    """500 that send an octet now and then, and one that has a mail to send."""
    edge = start_edge()
    edge.send(new_content(), "support@inbox.test")
    before = edge.rss_octets()

    async def crowd() -> float:
        pairs = [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(500)]
        for reader, writer in pairs:
            await reader.readline()
            writer.write(b"HELO x\r\nMAIL FR")
        for _ in range(5):
            for _, writer in pairs:
                writer.write(b"O")
            await asyncio.sleep(0.02)
        held = (edge.rss_octets() - before) / len(pairs)
        reply = await asyncio.to_thread(edge.send, new_content(), "support@inbox.test")
        assert reply.startswith("250")
        for _, writer in pairs:
            writer.close()
        return held

    held_octets = asyncio.run(crowd())
    print(f"{held_octets / 1024:.1f} KiB for each idle connection")
    assert held_octets < 64 * 1024


def test_without_the_database_known_addresses_go_on_and_unknown_ones_come_again(
    jet: Jet, start_edge: Start, database: str
) -> None:
    edge = start_edge()
    edge.send(new_content(), "support@inbox.test")
    os.truncate(database.removeprefix("sqlite:///"), 0)
    with edge.client() as client:
        client.ehlo()
        client.mail("ann@sender.test")
        assert client.rcpt("support@inbox.test")[0] == 250
        assert client.rcpt("unknown@inbox.test")[0] == 451


@pytest.mark.parametrize("environ", [{"SMTP": "nowhere"}, {"MAX_RECIPIENTS": "5"}, {"DNSBL": "x=maybe"}])
def test_a_bad_setting_stops_the_start_with_one_line_that_names_it(
    jet: Jet, start_edge: Start, environ: dict[str, str]
) -> None:
    edge = start_edge(waits=False, **environ)
    assert edge.process.wait(timeout=20) == 2
    ((name, value),) = environ.items()
    edge.process.stderr.close() if not edge.lines else None
    (line,) = [line for line in edge.lines if line.startswith("MAILCHUTE_")]
    assert line.startswith(f"MAILCHUTE_{name} is {value!r}: expected ")


def test_a_port_that_is_taken_stops_the_start(jet: Jet, start_edge: Start) -> None:
    first = start_edge()
    second = start_edge(waits=False, SMTP=f"127.0.0.1:{first.port}")
    assert second.process.wait(timeout=20) == 2


def test_while_nats_cannot_be_reached_sigterm_ends_it_at_once(
    start_edge: Start, nats_server: NatsServer
) -> None:
    nats_server.stop()
    edge = start_edge(waits=False)
    edge.event("nats-trouble")
    edge.process.send_signal(signal.SIGTERM)
    assert edge.process.wait(timeout=20) == 0
