"""The API's side of the connector's command door, against a real HTTP server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from mailchute import wire
from mailchute.commands import Command, CommandDone

from functions.api.commands import CommandDoor
from functions.api.problem import Problem

COMMAND = Command(id="run_1", kind="replay", mail_id="msg_1", mail_sequence=7)


class Door(BaseHTTPRequestHandler):
    """Answers as it is told, and remembers what it was asked."""

    answer: tuple[int, bytes]
    asked: list[tuple[str, str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).asked.append((self.path, self.headers["Authorization"], body))
        status, octets = type(self).answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def door() -> Iterator[type[Door]]:
    class Mine(Door):
        answer = (200, b"")
        asked: list[tuple[str, str, bytes]] = []  # noqa: RUF012

    server = HTTPServer(("127.0.0.1", 0), Mine)
    Mine.url = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Mine
    server.shutdown()
    thread.join()
    server.server_close()


def carried_out(door: type[Door]) -> CommandDone:
    return CommandDoor(door.url, "the token").carry_out(COMMAND)  # type: ignore[attr-defined]


def test_a_command_goes_with_the_internal_token_and_comes_back_done(door: type[Door]) -> None:
    door.answer = (200, wire.encode(CommandDone(id="run_1", repeated=True)))
    assert carried_out(door) == CommandDone(id="run_1", repeated=True)
    path, authorization, body = door.asked[0]
    assert (path, authorization) == ("/commands", "Bearer the token")
    assert wire.decode(body, Command) == COMMAND


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, b"{}", 410),
        (422, b"{}", 409),
        (503, b"{}", 503),
        (401, b"{}", 503),
        (302, b"", 503),
        (200, b"no MessagePack", 503),
    ],
)
def test_what_the_door_refuses_is_told_as_a_problem(
    door: type[Door], status: int, body: bytes, told: int
) -> None:
    door.answer = (status, body)
    with pytest.raises(Problem) as refused:
        carried_out(door)
    assert refused.value.details.status == told
    assert len(door.asked) == 1


def test_a_door_nobody_opens_is_not_now() -> None:
    for url in ("http://127.0.0.1:1", ""):
        with pytest.raises(Problem) as refused:
            CommandDoor(url, "the token").carry_out(COMMAND)
        assert refused.value.details.status == 503
