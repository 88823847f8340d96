"""Rspamd and clamd: what they say, and that a scan does without them in time."""

from __future__ import annotations

import http.server
import json
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from mailchute.verdicts import ScanReport

from functions.scan.scan import Scanner
from tests.servers.dns import DnsServer
from tests.unit.scan.given import mail, message, scan, settings_for

DEADLINE_S = 2.0


class FakeRspamd:
    """Answers /checkv2 with `reply` after `delay_s`."""

    def __init__(self) -> None:
        symbol = {"name": "GTUBE", "score": 12.5, "description": "test"}
        self.reply: bytes = json.dumps(
            {"score": 12.5, "required_score": 15, "action": "add header", "symbols": {"GTUBE": symbol}}
        ).encode()
        self.status, self.wait = 200, threading.Event()
        self.is_silent = self.dribbles = False
        self.has_hung_up = threading.Event()  # the client, while the answer dribbled
        self.headers: dict[str, str] = {}
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                owner.headers = dict(self.headers)
                self.rfile.read(int(self.headers["Content-Length"]))
                if owner.is_silent:
                    owner.wait.wait()
                    return
                self.send_response(owner.status)
                self.send_header("Content-Length", str(len(owner.reply)))
                self.end_headers()
                while owner.dribbles and not owner.wait.wait(0.01):
                    try:
                        self.wfile.write(b" ")
                    except OSError:
                        owner.has_hung_up.set()
                        return
                self.wfile.write(owner.reply)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.wait.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def rspamd() -> Iterator[FakeRspamd]:
    server = FakeRspamd()
    yield server
    server.stop()


def scanned(dns: DnsServer, **settings: object) -> ScanReport:
    return scan(dns, mail(), account_id="acc_1", settings={"deadline_s": DEADLINE_S, **settings})


def test_rspamds_verdict_is_taken_on_its_own_scale(dns: DnsServer, rspamd: FakeRspamd) -> None:
    spam = scanned(dns, rspamd_url=rspamd.url).spam
    assert spam is not None
    assert (spam.engine, spam.score, spam.action, spam.is_spam) == ("rspamd", 12.5, "add header", True)
    assert [(s.name, s.score) for s in spam.symbols] == [("GTUBE", 12.5)]
    assert (rspamd.headers["IP"], rspamd.headers["From"]) == ("192.0.2.1", "joe@example.org")
    assert (rspamd.headers["Rcpt"], rspamd.headers["Mailchute-Account"]) == ("support@inbox.test", "acc_1")


def test_an_account_that_wants_no_spam_check_asks_nobody(dns: DnsServer, rspamd: FakeRspamd) -> None:
    scanner = Scanner(settings_for(dns, rspamd_url=rspamd.url))
    report = scanner.scan(message(mail()), spam_enabled=False, threshold=5.0)
    scanner.close()
    assert report.spam is None
    assert rspamd.headers == {}


def test_the_accounts_own_threshold_decides(dns: DnsServer, rspamd: FakeRspamd) -> None:
    for threshold, is_spam in ((12.0, True), (12.5, True), (13.0, False)):
        spam = scan(dns, mail(), settings={"rspamd_url": rspamd.url}, threshold=threshold).spam
        assert spam is not None
        assert (spam.engine, spam.is_spam, spam.threshold) == ("rspamd", is_spam, threshold)


def test_a_rule_may_be_one_accounts_own(dns: DnsServer, tmp_path: Path) -> None:
    when = 'recipient.account == "acc_1" and recipient.address == "support@inbox.test"'
    (tmp_path / "own.toml").write_text(f"[[rule]]\nname = \"OWN\"\nwhen = '{when}'\nscore = 3\n")
    for account_id, is_hit in (("acc_1", True), ("acc_2", False)):
        spam = scan(dns, mail(), settings={"rules_dir": tmp_path}, account_id=account_id).spam
        assert spam is not None
        assert ("OWN" in {symbol.name for symbol in spam.symbols}) is is_hit


NONSENSE = [
    b"",
    b"{",
    b"[]",
    b'{"score": "high"}',
    b'{"score": 1}',
    b"\xff" * 100,
    b'{"score": NaN, "action": ""}',
]


@pytest.mark.parametrize("reply", NONSENSE, ids=repr)
def test_nonsense_of_rspamd_leaves_the_verdict_to_us(
    dns: DnsServer, rspamd: FakeRspamd, reply: bytes
) -> None:
    rspamd.reply = reply
    spam = scanned(dns, rspamd_url=rspamd.url).spam
    assert spam is not None
    assert spam.engine == "builtin"


def test_an_rspamd_that_fails_leaves_the_verdict_to_us(dns: DnsServer, rspamd: FakeRspamd) -> None:
    rspamd.status = 500
    spam = scanned(dns, rspamd_url=rspamd.url).spam
    assert spam is not None
    assert spam.engine == "builtin"


def test_an_rspamd_that_is_gone_or_silent_never_delays_past_the_deadline(
    dns: DnsServer, rspamd: FakeRspamd
) -> None:
    rspamd.is_silent = True  # until the test is over: a scan that waited for it would never return
    for url in (rspamd.url, "http://127.0.0.1:1"):
        spam = scanned(dns, rspamd_url=url).spam
        assert spam is not None
        assert spam.engine == "builtin"


def test_no_thread_hears_out_an_rspamd_that_dribbles(dns: DnsServer, rspamd: FakeRspamd) -> None:
    rspamd.dribbles, rspamd.reply = True, b" " * 10_000_000
    spam = scanned(dns, rspamd_url=rspamd.url).spam
    assert spam is not None
    assert spam.engine == "builtin"
    assert rspamd.has_hung_up.wait(60)


class FakeClamd(socketserver.ThreadingTCPServer):
    """Speaks INSTREAM: finds EICAR's name in any octets that hold "EICAR"."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answer: bytes | None = None) -> None:
        self.answer, self.wait = answer, threading.Event()
        super().__init__(("127.0.0.1", 0), _ClamdHandler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class _ClamdHandler(socketserver.BaseRequestHandler):
    server: FakeClamd

    def handle(self) -> None:
        if self.server.answer == b"hangs up":
            return
        stream = self.request.makefile("rb")
        assert stream.read(10) == b"zINSTREAM\0"
        content = b""
        while size := struct.unpack("!L", stream.read(4))[0]:
            content += stream.read(size)
        if self.server.answer == b"silent":
            self.server.wait.wait()
            return
        while self.server.answer == b"dribbles" and not self.server.wait.wait(0.002):
            try:
                self.request.sendall(b"s")
            except OSError:
                return
        found = b"stream: Eicar-Test FOUND\0" if b"EICAR" in content else b"stream: OK\0"
        self.request.sendall(found if self.server.answer is None else self.server.answer)


@pytest.fixture
def clamd() -> Iterator[FakeClamd]:
    server = FakeClamd()
    yield server
    server.wait.set()
    server.shutdown()
    server.server_close()


def test_a_virus_is_named(dns: DnsServer, clamd: FakeClamd) -> None:
    settings = {"clamd": f"127.0.0.1:{clamd.server_address[1]}"}
    virus = scan(dns, mail(body="EICAR" + "x" * 1_000_000), settings=settings).security.virus
    assert virus is not None
    assert (virus.infected, virus.names) == (True, ("Eicar-Test",))
    clean = scan(dns, mail(), settings=settings).security.virus
    assert clean is not None
    assert not clean.infected


CLAMD_TROUBLE = [
    b"silent",
    b"dribbles",
    b"hangs up",
    b"",
    b"stream: O",
    b"stream: FOUND\0",
    b"INSTREAM size limit exceeded. ERROR\0",
    b"COMMAND READ TIMED OUT\0",
    b"\xff" * 9000,
]


@pytest.mark.parametrize("answer", CLAMD_TROUBLE)
@pytest.mark.parametrize("octets", [10, 3_000_000])
def test_a_clamd_that_does_not_say_is_no_clean_bill(
    dns: DnsServer, clamd: FakeClamd, answer: bytes, octets: int
) -> None:
    clamd.answer = answer
    settings = {"clamd": f"127.0.0.1:{clamd.server_address[1]}", "deadline_s": DEADLINE_S}
    assert scan(dns, mail(body="x" * octets), settings=settings).security.virus is None


def test_a_clamd_that_is_gone_is_no_clean_bill(dns: DnsServer, tmp_path: Path) -> None:
    for address in ("127.0.0.1:1", str(tmp_path / "none.sock")):
        assert scan(dns, mail(), settings={"clamd": address}).security.virus is None


def test_clamd_may_listen_on_a_socket(dns: DnsServer, tmp_path: Path) -> None:
    path = str(tmp_path / "clamd.sock")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            while not connection.recv(65_536).endswith(b"\0\0\0\0"):
                pass
            connection.sendall(b"stream: OK\0")

    threading.Thread(target=serve, daemon=True).start()
    virus = scan(dns, mail(), settings={"clamd": path}).security.virus
    server.close()
    assert virus is not None
    assert not virus.infected
