"""Any command in any state, with any octets: an answer in RFC 5321's form, and a server that lives on."""

from __future__ import annotations

import os
import random
import re
import socket

import pytest

from tests.ingress.edge_process import EdgeProcess, Jet, new_content

SEED = os.environ.get("FUZZ_SEED", "")  # of `make fuzz`; without it, the same words each time
REPLY = re.compile(rb"(?:[2-5]\d\d-[^\r\n]*\r\n)*[2-5]\d\d [^\r\n]*\r\n")
STATES: dict[str, list[bytes]] = {
    "connected": [],
    "greeted": [b"EHLO x\r\n"],
    "mail": [b"EHLO x\r\n", b"MAIL FROM:<a@b.test>\r\n"],
    "rcpt": [b"EHLO x\r\n", b"MAIL FROM:<a@b.test>\r\n", b"RCPT TO:<support@inbox.test>\r\n"],
    "bdat": [
        *(b"EHLO x\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<support@inbox.test>\r\n"),
        b"BDAT 2\r\nx\r",
    ],
}
WORDS = [
    *(b"EHLO", b"HELO", b"MAIL", b"RCPT", b"DATA", b"BDAT", b"RSET", b"NOOP", b"VRFY", b"EXPN", b"HELP"),
    *(b"STARTTLS", b"AUTH", b"FROM:", b"TO:", b"<", b">", b"<>", b"@", b"a@b.test", b"support@inbox.test"),
    *(
        b"SIZE=",
        b"9" * 25,
        b"-1",
        b"LAST",
        b"SMTPUTF8",
        b"BODY=8BITMIME",
        b'"',
        b"\\",
        b"[",
        b"]",
        b":",
        b",",
    ),
    *(
        b" ",
        b"\t",
        b"\x00",
        b"\xff\xfe",
        "süd".encode(),
        b"%",
        b"!",
        b"x" * 300,
        b"xn--",
        b"[IPv6:",
        b"\r",
        b".",
    ),
]


class Peer:
    """A connection that collects whole replies."""

    def __init__(self, edge: EdgeProcess) -> None:
        self._socket = socket.create_connection(("127.0.0.1", edge.port), timeout=20)
        self._heard = b""
        self.reply()

    def say(self, octets: bytes) -> bytes:
        """Send, and return the reply; b"" when the server has closed."""
        try:
            self._socket.sendall(octets)
            return self.reply()
        except ConnectionError:
            return b""

    def reply(self) -> bytes:
        while not (found := REPLY.match(self._heard)):
            octets = self._socket.recv(65_536)
            if not octets:
                assert not self._heard, f"cut in mid-reply: {self._heard!r}"
                return b""
            self._heard += octets
        self._heard = self._heard[found.end() :]
        return found[0]

    def close(self) -> None:
        self._socket.close()


def words(source: random.Random) -> bytes:
    head = source.choice(WORDS[:13])
    return head + b"".join(
        source.choice((b" ", b"")) + source.choice(WORDS) for _ in range(source.randrange(5))
    )


@pytest.mark.parametrize("state", STATES)
def test_any_command_in_any_state_is_answered(edge: EdgeProcess, streams: Jet, state: str) -> None:
    source = random.Random(f"{state} {SEED}")
    for _ in range(120):
        peer = Peer(edge)
        assert all(peer.say(step) for step in STATES[state])
        line = words(source)
        reply = peer.say(line + b"\r\n")
        if reply.startswith(b"354"):
            reply = peer.say(b"x: y\r\n\r\n" + source.randbytes(source.randrange(200)) + b"\r\n.\r\n")
        elif line.upper().startswith(b"BDAT") and not reply:
            reply = b"closed"
        assert len(reply) < 700, (line, reply)
        assert b"Traceback" not in reply
        peer.close()
    assert edge.send(new_content(), "support@inbox.test").startswith("250")
    assert not [event for event in edge.events if event["event"] == "broken"]


def test_any_octets_at_all_leave_the_server_alive(edge: EdgeProcess, streams: Jet) -> None:
    source = random.Random(f"octets {SEED}")
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as client:
            client.sendall(source.randbytes(source.randrange(3_000)))
            client.shutdown(socket.SHUT_WR)
            while client.recv(65_536):
                pass
    assert edge.send(new_content(), "support@inbox.test").startswith("250")
    assert not [event for event in edge.events if event["event"] == "broken"]
