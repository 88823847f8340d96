"""The webhook receiver that other tests rely on."""

from __future__ import annotations

import http.client
import socket

import pytest
from standardwebhooks import WebhookVerificationError

from tests.servers.sink import Sink, Step


def post(sink: Sink, path: str, body: bytes = b"{}") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=10)
    connection.request("POST", path, body)
    return connection.getresponse()


def test_every_post_is_journaled_as_it_came(sink: Sink) -> None:
    body = bytes(range(256)) * 5000
    assert post(sink, "/a?b=c", body).status == 200
    [seen] = sink.wait_for("/a?b=c")
    assert (seen.method, seen.body, seen.header("content-length")) == ("POST", body, str(len(body)))


def test_a_path_answers_its_statuses_in_turn_and_then_the_last(sink: Sink) -> None:
    sink.program("/a", 500, 503, Step(status=308, headers=(("Location", "/b"),)))
    assert [post(sink, "/a").status for _ in range(4)] == [500, 503, 308, 308]
    assert post(sink, "/other").status == 200


def test_it_comes_back_on_its_port_with_its_journal_after_a_kill(sink: Sink) -> None:
    sink.program("/a", 500)
    post(sink, "/a")
    sink.kill()
    with pytest.raises(ConnectionRefusedError):
        post(sink, "/a")
    sink.start()
    assert post(sink, "/a").status == 500
    assert len(sink.wait_for("/a", 2)) == 2


def test_requests_over_one_connection_share_its_number(sink: Sink) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=10)
    for _ in range(2):
        connection.request("POST", "/a", b"")
        connection.getresponse().read()
    post(sink, "/a")
    first, second, third = sink.wait_for("/a", 3)
    assert first.connection == second.connection != third.connection


def test_a_reset_resets_and_a_cut_ends_after_the_status_line(sink: Sink) -> None:
    sink.program("/reset", Step(fault="reset"))
    with pytest.raises(ConnectionResetError):
        post(sink, "/reset")
    sink.program("/cut", Step(fault="cut"))
    with socket.create_connection(("127.0.0.1", sink.port), timeout=10) as raw:
        raw.sendall(b"POST /cut HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        assert raw.makefile("rb").read() == b"HTTP/1.1 200 Programmed\r\n"


def test_a_post_that_nobody_signed_does_not_verify(sink: Sink) -> None:
    post(sink, "/a")
    [seen] = sink.wait_for("/a")
    with pytest.raises(WebhookVerificationError):
        seen.verify("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
