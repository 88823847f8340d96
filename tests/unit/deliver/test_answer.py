"""Answers octet by octet: every length bounded, every end a value or an error of ours."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from functions.deliver.answer import BODY_MAX_OCTETS, HEAD_MAX_OCTETS, KEPT_OCTETS, Answer, AnswerReader
from functions.deliver.faults import EndpointFault, Unanswered


def read(octets: bytes, *, ends: bool = True, timeout_s: float = 5) -> Answer:
    """Return the answer of a peer that sends these octets, and then closes or keeps still."""
    ours, theirs = socket.socketpair()

    def send() -> None:
        try:
            theirs.sendall(octets)
            if ends:
                theirs.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # we had read enough and closed

    with ours, theirs:
        thread = threading.Thread(target=send)
        thread.start()
        try:
            return AnswerReader(ours, time.monotonic() + timeout_s).read()
        finally:
            ours.close()
            thread.join()


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("octets", "body", "is_reusable"),
    [
        (OK + b"Content-Length: 2\r\n\r\nhi", b"hi", True),
        (OK + b"content-length:2\r\n\r\nhi", b"hi", True),
        (OK + b"Content-Length: 0\r\n\r\n", b"", True),
        (b"HTTP/1.1 204 \r\n\r\n", b"", True),
        (b"HTTP/1.1 204\r\n\r\n", b"", True),
        (OK + b"Content-Length: 2\r\nConnection: Close\r\n\r\nhi", b"hi", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi", False),
        (OK + b"\r\nhi, until the end", b"hi, until the end", False),
        (OK + b"Content-Length: 2\r\n\r\nhi, and more", b"hi", False),  # a second answer nobody asked for
        (OK + b"Content-Length: 9\r\n\r\nhi", b"hi", False),
        (OK + b"Content-Length: -1\r\n\r\nhi", b"hi", False),
        (OK + b"Content-Length: 2, 2\r\n\r\nhi", b"hi", False),
        (OK + b"Content-Length: " + b"9" * 4_000 + b"\r\n\r\nhi", b"hi", False),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"hi", True),
        (OK + b"Transfer-Encoding: Chunked\r\n\r\n1;a=b\r\nh\r\n1 \r\ni\r\n0\r\nA: b\r\n\r\n", b"hi", True),
        (OK + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"hi", True),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi", b"hi", False),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi!!", b"hi", False),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nhi", b"", False),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nfffffffff\r\nhi", b"", False),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n-2\r\nhi", b"", False),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"", False),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi", b"hi", True),
        (b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * 3 + OK + b"Content-Length: 2\r\n\r\nhi", b"hi", True),
        (OK + b"No colon\r\n: empty\r\n\xff\xfe: \x00\r\n\r\n", b"", False),
    ],
)
def test_an_answer_is_read_to_its_end(octets: bytes, body: bytes, is_reusable: bool) -> None:
    answer = read(octets)
    assert answer.status in (200, 204)
    assert (answer.body, answer.is_reusable) == (body, is_reusable)


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        (b"", Unanswered),
        (b"H", EndpointFault),
        (OK, EndpointFault),
        (OK + b"A: b\r\n", EndpointFault),
        (b"HTTP/1.1 100 Continue\r\n\r\n", Unanswered),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 50, EndpointFault),
        (b"HTTP/2 200\r\n\r\n", EndpointFault),
        (b"HTTP/1.1 20 OK\r\n\r\n", EndpointFault),
        (b"HTTP/1.1 2000 OK\r\n\r\n", EndpointFault),
        (b"HTTP/1.1 099 OK\r\n\r\n", EndpointFault),
        (b"SSH-2.0-OpenSSH\r\n\r\n", EndpointFault),
        (b"220 mx ESMTP\r\n\r\n", EndpointFault),
        (b"x" * (HEAD_MAX_OCTETS * 3), EndpointFault),
        (OK + b"A: " + b"x" * (HEAD_MAX_OCTETS * 3), EndpointFault),
    ],
)
def test_what_is_no_answer_is_the_endpoints_fault(octets: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(octets)


def test_silence_ends_with_the_time() -> None:
    with pytest.raises(TimeoutError):
        read(OK, ends=False, timeout_s=0.1)


def test_a_body_that_does_not_come_holds_the_attempt_a_moment_only() -> None:
    answer = read(OK + b"Content-Length: 9\r\n\r\nhi", ends=False, timeout_s=60)
    assert (answer.status, answer.body, answer.is_reusable) == (200, b"hi", False)


@pytest.mark.parametrize("framing", [b"Content-Length: 999999", b"Transfer-Encoding: chunked", b"X: y"])
def test_no_more_than_fifty_kilobytes_are_read_and_four_are_kept(framing: bytes) -> None:
    chunk = b"f000\r\n" + b"x" * 0xF000 + b"\r\n"
    answer = read(OK + framing + b"\r\n\r\n" + chunk * 20)
    assert len(answer.body) == KEPT_OCTETS
    assert not answer.is_reusable
    assert len(chunk) > BODY_MAX_OCTETS


@settings(max_examples=200, deadline=None)
@given(some.binary(max_size=200), some.sampled_from([b"", OK, OK + b"Transfer-Encoding: chunked\r\n\r\n"]))
def test_no_octets_raise_anything_but_ours(octets: bytes, before: bytes) -> None:
    with contextlib.suppress(EndpointFault):
        read(before + octets)
