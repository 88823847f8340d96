"""The HTTP port for people passes calls on, tells functions who is not here, and keeps its bounds."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from mailchute_cli import front

Reply = tuple[int, bytes]


class Function(BaseHTTPRequestHandler):
    """Answers with what it was told, and notes the fields."""

    seen: list[dict[str, str]]
    gate = threading.Event()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append({name.lower(): value for name, value in self.headers.items()})
        if body == b"wait":
            self.gate.wait(20)
        self.send_response(422 if body == b"never" else 200)
        if body == b"stream":
            self.send_header("Content-Type", "text/event-stream; charset=utf-8")
            self.end_headers()
            self.wfile.write(b"data: 1\n\n")
            self.gate.wait(60)
            self.wfile.write(b"data: 2\n\n")
            return
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("X-Path", f"{self.command} {self.path}")
        self.end_headers()
        self.wfile.write(b"answer to " + body)

    do_GET = do_DELETE = do_PATCH = do_POST  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


class Functions(ThreadingHTTPServer):
    request_queue_size = 4 * front.CALLS_AT_ONCE


@pytest.fixture
def port() -> Iterator[int]:
    Function.seen = []
    Function.gate.clear()
    function = Functions(("127.0.0.1", 0), Function)
    urls = {
        "scan": f"http://127.0.0.1:{function.server_port}/function/scan",
        "api": f"http://127.0.0.1:{function.server_port}/function/api",
        "away": "http://127.0.0.1:1/function/away",
    }
    server = front.Front(("127.0.0.1", 0), urls)
    for each in (function, server):
        threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server.server_port
    Function.gate.set()
    for each in (server, function):
        each.shutdown()
        each.server_close()


def call(port: int, path: str, body: bytes | None = b"x", method: str = "POST", **fields: str) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_call_is_passed_on_with_its_fields(port: int) -> None:
    told = call(port, "/function/scan", b"mail", Content_Type="message/rfc822", Mail_Envelope="{}", TE="x")
    assert told == (200, b"answer to mail")
    [fields] = Function.seen
    assert (fields["content-type"], fields["mail-envelope"]) == ("message/rfc822", "{}")
    assert not {"te", "x-forwarded-for"} & fields.keys()


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_the_api_is_passed_on_with_its_method_path_query_and_fields(port: int, method: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, "/api/v1/emails?limit=2&q=a%20b", None, {"X-API-KEY": "k"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.headers["X-Path"] == f"{method} /api/v1/emails?limit=2&q=a%20b"
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert Function.seen[0]["x-api-key"] == "k"


def test_a_stream_is_passed_on_as_it_comes(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/api/v1/events", b"stream")
    answer = connection.getresponse()
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.read1(100) == b"data: 1\n\n"  # long before the second
    Function.gate.set()
    assert answer.read() == b"data: 2\n\n"
    connection.close()


def test_the_keys_that_signatures_verify_with_are_the_apis(port: int) -> None:
    assert call(port, "/.well-known/jwks.json", None, "GET")[0] == 200
    assert call(port, "/.well-known/other", None, "GET")[0] == 404


def test_what_a_proxy_added_reaches_the_function_that_decides(port: int) -> None:
    call(port, "/function/scan", X_Forwarded_For="192.0.2.1", Origin="https://page.example")
    assert Function.seen[0]["x-forwarded-for"] == "192.0.2.1"
    assert Function.seen[0]["origin"] == "https://page.example"


@pytest.mark.parametrize(
    ("peer", "is_here"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.1", False),
        ("fe80::1%eth0", False),
    ],
)
def test_only_this_machine_is_here(peer: str, is_here: bool) -> None:
    assert front._is_here(peer) is is_here


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/function/nothing", 404), ("/function/", 404), ("/scan", 404), ("/function/scan/x", 404),
        ("/function/../function/scan", 404), ("/", 404), ("/function/away", 503),
    ],
)  # fmt: skip
def test_what_is_not_there_is_404_and_what_is_away_is_503(port: int, path: str, status: int) -> None:
    assert call(port, path)[0] == status


def test_a_call_of_the_api_waits_for_it_while_it_only_just_starts() -> None:
    Function.seen = []
    api = Functions(("127.0.0.1", 0), Function, bind_and_activate=False)
    api.server_bind()  # nothing listens there yet: a connection is refused
    api.server_port = api.socket.getsockname()[1]
    server = front.Front(("127.0.0.1", 0), {"api": f"http://127.0.0.1:{api.server_port}/function/api"})
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    answers: list[Reply] = []
    caller = threading.Thread(target=lambda: answers.append(call(server.server_port, "/api/v1/emails")))
    caller.start()
    try:
        time.sleep(0.2)  # long enough to be refused a few times
        assert not answers
        api.server_activate()
        threading.Thread(target=api.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        caller.join(60)
        assert answers == [(200, b"answer to x")]
    finally:
        for each in (server, api):
            each.shutdown()
            each.server_close()


def test_the_answer_of_a_function_is_passed_back_as_it_is(port: int) -> None:
    assert call(port, "/function/scan", b"never") == (422, b"answer to never")


def test_a_body_of_unknown_or_too_great_length_is_refused_unread(port: int) -> None:
    assert call(port, "/function/scan", None, Transfer_Encoding="chunked")[0] == 411
    assert call(port, "/function/scan", None, Content_Length=str(front.BODY_MAX_OCTETS + 1))[0] == 413
    assert Function.seen == []


def test_over_its_slots_it_says_so(port: int) -> None:
    waiting = [
        threading.Thread(target=call, args=(port, "/function/scan", b"wait"))
        for _ in range(front.CALLS_AT_ONCE)
    ]
    for thread in waiting:
        thread.start()
    while len(Function.seen) < front.CALLS_AT_ONCE:
        time.sleep(0.01)
    assert call(port, "/function/scan")[0] == 429
    Function.gate.set()
    for thread in waiting:
        thread.join()
    assert call(port, "/function/scan")[0] == 200


def test_a_person_is_told_what_there_is(port: int) -> None:
    status, text = call(port, "/", None, "GET")
    assert status == 200
    assert b"/function/scan" in text
    assert call(port, "/healthz", None, "GET") == (200, b"ok\n")
