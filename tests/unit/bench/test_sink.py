"""The sink answers and journals, however the octets arrive."""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from bench.child import free_port, module, running
from bench.ledger import read_journal


class Sink(NamedTuple):
    port: int
    journal: Path
    process: subprocess.Popen[bytes]

    def tokens_and_sizes(self, count: int) -> list[tuple[str, int]]:
        while len(rows := read_journal(self.journal)) < count:
            time.sleep(0.01)
        return [(row.token, row.size_octets) for row in rows]


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    port = free_port()
    command = module("bench.sink", "--port", str(port), "--journal", tmp_path / "journal")
    with running(command, tmp_path / "log") as process:
        yield Sink(port, tmp_path / "journal", process)


def body(number: int) -> bytes:
    return b'{"messageId":"<bench.r1.%06d@sender-00.test>"}' % number


def test_posts_on_one_connection_are_answered_and_journaled(sink: Sink) -> None:
    client = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=10)
    for number in range(3):
        client.request("POST", "/ok", body(number))
        assert client.getresponse().read() == b"ok"
    rows = sink.tokens_and_sizes(3)
    assert rows == [(f"bench.r1.{n:06}", len(body(n))) for n in range(3)]


def test_a_post_in_pieces_and_two_in_one_piece_count_once_each(sink: Sink) -> None:
    request = b"POST /ok HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body(1)), body(1))
    with socket.create_connection(("127.0.0.1", sink.port), timeout=10) as raw:
        for start in range(0, len(request), 20):
            raw.sendall(request[start : start + 20])
        raw.sendall(request + request)
        assert [token for token, _ in sink.tokens_and_sizes(3)] == ["bench.r1.000001"] * 3


def test_the_broken_path_answers_500_and_an_unknown_length_411(sink: Sink) -> None:
    client = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=10)
    client.request("POST", "/broken", body(1))
    assert client.getresponse().status == 500
    client.close()
    with socket.create_connection(("127.0.0.1", sink.port), timeout=10) as raw:
        raw.sendall(b"POST /ok HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 411 ")


def test_the_journal_is_whole_after_sigterm(sink: Sink) -> None:
    client = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=10)
    client.request("POST", "/ok", body(1))
    client.getresponse().read()
    sink.process.terminate()
    sink.process.wait(10)
    assert len(read_journal(sink.journal)) == 1
