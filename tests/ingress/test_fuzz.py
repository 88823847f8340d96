"""Any command in any state, with any octets: an answer in RFC 5321's form, and a server that lives on."""

from __future__ import annotations

import contextlib
import os
import random
import re
import socket
from collections.abc import Callable

import pytest

from tests.ingress.edge_process import EdgeProcess, Jet, new_content

SEED = os.environ.get("FUZZ_SEED", "")  # of `make fuzz`; without it, the same words each time
TIMES = int(os.environ.get("FUZZ_TIMES", "1"))  # as much of everything
REPLY = re.compile(rb"(?:[2-5]\d\d-[^\r\n]*\r\n)*[2-5]\d\d [^\r\n]*\r\n")
# RFC 2034, 4: every reply but the greeting, those to EHLO and HELO, and 3yz; the classes agree.
ENHANCED = re.compile(rb"(?:([245])\d\d[ -]\1\.\d{1,3}\.\d{1,3} [^\r\n]+\r\n)+|3\d\d [^\r\n]+\r\n")
OFFERED = re.compile(rb"250[ -]mx\.test\r\n(?:250[ -][A-Z0-9 ]+\r\n)*")
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
    for _ in range(120 * TIMES):
        peer = Peer(edge)
        assert all(peer.say(step) for step in STATES[state])
        line = words(source)
        reply = peer.say(line + b"\r\n")
        if reply.startswith(b"354"):
            reply = peer.say(b"x: y\r\n\r\n" + source.randbytes(source.randrange(200)) + b"\r\n.\r\n")
        elif line.upper().startswith(b"BDAT") and not reply:
            reply = b"closed"
        assert len(reply) < 700, (line, reply)
        assert reply in (b"", b"closed") or ENHANCED.fullmatch(reply) or OFFERED.fullmatch(reply), (
            line,
            reply,
        )
        assert b"Traceback" not in reply
        peer.close()
    assert edge.send(new_content(), "support@inbox.test").startswith("250")
    assert not [event for event in edge.events if event["event"] == "broken"]


def told(client: socket.socket) -> bytes:
    heard = b""
    while octets := client.recv(65_536):
        heard += octets
    return heard


def stuffed(content: bytes) -> bytes:
    return (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]


def test_content_arrives_as_it_was_sent_however_it_is_cut(edge: EdgeProcess, streams: Jet) -> None:
    source = random.Random(f"content {SEED}")
    sent: dict[bytes, bytes] = {}
    for number in range(25 * TIMES):
        lines = [
            source.choice((b"", b".", b"..", b"..x", b"x.", b"\xff\x00", b"y" * 3_000)) for _ in range(12)
        ]
        mark = b"Subject: %s %d" % (SEED.encode(), number)
        content = b"".join(line + b"\r\n" for line in (mark, b"", *lines))
        sent[mark] = content
        text = b"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<support@inbox.test>\r\nDATA\r\n"
        with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as client:
            replies = client.makefile("rb")
            replies.readline()
            for line in text.splitlines(keepends=True):
                client.sendall(line)
                replies.readline()
            octets = stuffed(content) + b".\r\nQUIT\r\n"
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while octets:
                size = source.randrange(1, 1 + source.choice((3, 50, 5_000)))
                client.sendall(octets[:size])
                octets = octets[size:]
            assert replies.readline().startswith(b"250 2.0.0")
            assert replies.readline().startswith(b"221")
    for mail in streams.mails():
        assert isinstance(mail.content, bytes)
        content = mail.content[mail.trace_octets :]
        assert content == sent.pop(content.partition(b"\r\n")[0])
    assert not sent


def test_any_header_of_a_balancer_leaves_the_server_alive(
    jet: Jet, start_edge: Callable[..., EdgeProcess]
) -> None:
    edge = start_edge(PROXY_FROM="127.0.0.1/32")
    source = random.Random(f"proxy {SEED}")
    good = b"PROXY TCP4 192.0.2.1 127.0.0.1 1000 25\r\n"
    binary = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(range(12))
    for _ in range(150 * TIMES):
        header = bytearray(source.choice((good, binary, b"PROXY UNKNOWN\r\n", good[:20])))
        for _ in range(source.randrange(4)):
            header[source.randrange(len(header))] = source.randrange(256)
        client = socket.create_connection(("127.0.0.1", edge.port), timeout=20)
        with client, contextlib.suppress(ConnectionError):
            client.sendall(bytes(header) + source.randbytes(source.randrange(200)))
            client.shutdown(socket.SHUT_WR)
            assert not told(client).startswith(b"250")
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as client:
        client.sendall(good)
        assert client.recv(100).startswith(b"220 ")
    assert not [event for event in edge.events if event["event"] == "broken"]


def test_any_octets_at_all_leave_the_server_alive(edge: EdgeProcess, streams: Jet) -> None:
    source = random.Random(f"octets {SEED}")
    for _ in range(100 * TIMES):
        with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as client:
            client.sendall(source.randbytes(source.randrange(3_000)))
            client.shutdown(socket.SHUT_WR)
            told(client)
    assert edge.send(new_content(), "support@inbox.test").startswith("250")
    assert not [event for event in edge.events if event["event"] == "broken"]
