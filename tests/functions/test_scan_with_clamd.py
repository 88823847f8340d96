"""scan with a real clamd (Debian's package) that knows two patterns of our own and nothing else."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mailchute.verdicts import Virus

from tests.servers.dns import DnsServer
from tests.unit.scan.given import mail, scan

CLAMD = shutil.which("clamd") or shutil.which("clamd", path="/usr/sbin")
START_S = 60
STREAM_MAX = "2M"
PATTERN = b"mailchute test pattern 4711"  # harmless, and ours: no database is downloaded
FILE = b"a file that is known by its digest\n" * 20

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CLAMD is None, reason="clamd (apt: clamav-daemon) is not installed: not run"),
]


@dataclass
class Server:
    """A clamd that runs, and where it listens."""

    tcp: str
    path: str
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def clamd() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="clamd-") as folder:  # a socket's path must be short
        yield from _running(Path(folder))


def _running(root: Path) -> Iterator[Server]:
    (root / "db").mkdir()
    (root / "db" / "own.ndb").write_text(f"Mailchute.Pattern:0:*:{PATTERN.hex()}\n")
    digest = hashlib.md5(FILE, usedforsecurity=False).hexdigest()
    (root / "db" / "own.hdb").write_text(f"{digest}:{len(FILE)}:Mailchute.File\n")
    port, path = _free_port(), str(root / "socket")
    settings = {
        "Foreground": "yes",
        "DatabaseDirectory": root / "db",
        "TemporaryDirectory": root,
        "LocalSocket": path,
        "TCPAddr": "127.0.0.1",
        "TCPSocket": port,
        "StreamMaxLength": STREAM_MAX,
    }
    (root / "clamd.conf").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    process = subprocess.Popen(
        [str(CLAMD), "-c", str(root / "clamd.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port, process)
        yield Server(f"127.0.0.1:{port}", path, process)
    finally:
        os.kill(process.pid, signal.SIGCONT)
        process.terminate()
        process.wait(20)


def verdict(dns: DnsServer, address: str, content: bytes, deadline_s: float = 10.0) -> Virus | None:
    return scan(dns, content, settings={"clamd": address, "deadline_s": deadline_s}).security.virus


def with_file(octets: bytes) -> bytes:
    return mail(
        more="MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n",
        body="--b\r\nContent-Type: text/plain\r\n\r\nHello.\r\n--b\r\n"
        "Content-Type: application/octet-stream; name=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        f"{base64.encodebytes(octets).decode()}\r\n--b--\r\n",
    )


FOUND = {
    "a pattern in the text": (mail(body=f"x {PATTERN.decode()} y\r\n"), "Mailchute.Pattern"),
    "a pattern in an encoded file": (with_file(b"MZ" + PATTERN), "Mailchute.Pattern"),
    "a file by its digest": (with_file(FILE), "Mailchute.File"),
}


@pytest.mark.parametrize(("content", "name"), FOUND.values(), ids=FOUND)
def test_what_clamd_finds_is_named(dns: DnsServer, clamd: Server, content: bytes, name: str) -> None:
    for address in (clamd.tcp, clamd.path):
        virus = verdict(dns, address, content)
        assert virus is not None
        assert virus.infected
        assert [found.removesuffix(".UNOFFICIAL") for found in virus.names] == [name]


def test_what_clamd_does_not_know_is_clean(dns: DnsServer, clamd: Server) -> None:
    for content in (mail(), with_file(b"harmless" * 100), b"", mail(body="x" * 1_000_000)):
        virus = verdict(dns, clamd.tcp, content)
        assert virus is not None
        assert (virus.engine, virus.infected, virus.names) == ("clamav", False, ())


def test_more_than_clamd_takes_is_no_clean_bill(dns: DnsServer, clamd: Server) -> None:
    assert verdict(dns, clamd.tcp, mail(body="x" * 3_000_000)) is None
    assert verdict(dns, clamd.tcp, mail()) is not None  # and the next mail is looked at again


def test_a_clamd_that_hangs_delays_nothing_past_the_deadline_and_is_used_again(
    dns: DnsServer, clamd: Server
) -> None:
    os.kill(clamd.process.pid, signal.SIGSTOP)
    try:
        assert verdict(dns, clamd.tcp, FOUND["a file by its digest"][0], deadline_s=0.5) is None
    finally:
        os.kill(clamd.process.pid, signal.SIGCONT)
    assert verdict(dns, clamd.tcp, mail()) is not None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    ends_at = time.monotonic() + START_S
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"zPING\0")
                if connection.recv(16) == b"PONG\0":
                    return
        except OSError:
            assert process.poll() is None, "clamd ended"
            assert time.monotonic() < ends_at, "clamd does not come up"
            time.sleep(0.1)
