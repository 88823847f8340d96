"""Nearly full: streams, buckets, disks and memory, and what a sender hears meanwhile."""

from __future__ import annotations

import contextlib
import shutil
import smtplib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mailchute.subjects import MAIL

from tests.ingress.edge_process import EdgeProcess, Jet, new_content, until
from tests.ingress.test_faults import stored_ids
from tests.servers.nats import NatsServer

Start = Callable[..., EdgeProcess]
MEBIOCTETS = 1024 * 1024


def send_until_refused(
    edge: EdgeProcess, content: Callable[[], bytes], *, most: int
) -> tuple[list[str], str]:
    """Send mails until one is not taken; return the ids of those that were, and the reply to that one."""
    accepted: list[str] = []
    with edge.client() as client:
        client.ehlo()
        for _ in range(most):
            code, text = client.mail("ann@sender.test")
            if code == 250:
                client.rcpt("support@inbox.test")
                code, text = client.data(content())
            if code != 250:
                return accepted, f"{code} {text.decode()}"
            accepted.append(text.decode().split()[-1])
    return accepted, "250"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_before_the_disk_is_full_senders_hear_452_and_when_there_is_room_again_250(
    small_disk: Path, start_edge: Start, database: str
) -> None:
    server = NatsServer(small_disk / "nats")
    server.start()
    try:
        jet = Jet(server)
        jet.create_all()
        free_octets = 24 * MEBIOCTETS
        edge = start_edge(NATS_URL=server.url, DISK=str(small_disk), DISK_FREE_OCTETS=str(free_octets))
        accepted, reply = send_until_refused(edge, lambda: new_content("x" * 60_000 + "\r\n") * 5, most=500)
        assert reply == "452 4.3.1 no room for more mail now, try again later"
        assert shutil.disk_usage(small_disk).free > 0
        assert len(accepted) > 10
        server.restart()  # as full as it is
        assert set(accepted) == stored_ids(jet)
        jet.delete(MAIL)
        jet.create(MAIL, ["mail.accepted"], duplicate_window=7_200_000_000_000)

        def takes_mail() -> bool:
            with contextlib.suppress(AssertionError, smtplib.SMTPException):
                return edge.send(new_content(), "support@inbox.test").startswith("250")
            return False

        until(takes_mail, "room again")
    finally:
        server.kill9()


def test_a_stream_of_a_few_megabytes_is_never_filled_and_loses_nothing(jet: Jet, start_edge: Start) -> None:
    jet.delete(MAIL)
    jet.create(MAIL, ["mail.accepted"], max_bytes=8 * MEBIOCTETS, duplicate_window=7_200_000_000_000)
    edge = start_edge()
    accepted, reply = send_until_refused(edge, lambda: new_content("x" * 60_000 + "\r\n") * 5, most=100)
    assert reply == "452 4.3.1 no room for more mail now, try again later"
    assert len(accepted) >= 8 * MEBIOCTETS // 300_000 * 0.9 - 1
    assert set(accepted) == stored_ids(jet)


def test_a_bucket_that_fills_up_while_big_content_comes_in_says_452_at_its_end(
    jet: Jet, start_edge: Start
) -> None:
    jet.delete("OBJ_content")
    jet.create(
        "OBJ_content",
        ["$O.content.C.>", "$O.content.M.>"],
        max_bytes=4 * MEBIOCTETS,
        allow_rollup_hdrs=True,
        allow_direct=True,
    )
    edge = start_edge()
    big = ("x" * 76 + "\r\n") * (6 * MEBIOCTETS // 78)
    with edge.client() as client:
        client.ehlo()
        client.mail("ann@sender.test")
        client.rcpt("support@inbox.test")
        code, text = client.data(new_content(big))
        assert (code, text) == (452, b"4.3.1 no room for more mail now, try again later")
        assert client.noop()[0] == 250
    until(lambda: jet.held("OBJ_content") == 0, "nothing left behind of it")
    assert edge.send(new_content(), "support@inbox.test").startswith("250")


def test_a_disk_that_is_gone_counts_as_full(jet: Jet, start_edge: Start, tmp_path: Path) -> None:
    place = tmp_path / "gone"
    place.mkdir()
    edge = start_edge(DISK=str(place), DISK_FREE_OCTETS="1")
    assert edge.send(new_content(), "support@inbox.test").startswith("250")
    place.rmdir()

    def is_full() -> bool:
        with edge.client() as client:
            client.ehlo()
            return client.mail("ann@sender.test")[0] == 452

    until(is_full, "452")
