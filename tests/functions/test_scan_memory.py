"""A mail of 24 MB, whatever is in it, is scanned within 128 MiB more than the process has."""

from __future__ import annotations

import multiprocessing
import resource
import threading
from pathlib import Path

import pytest

from functions.scan.scan import Scanner
from functions.scan.settings import Settings
from tests.servers.dns import DnsServer
from tests.unit.scan.given import honest_zone, message, settings_for

MORE_OCTETS = 128 * 2**20
PATIENCE_S = 120
SIGNATURE = (
    b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s1; h=from; bh=AAAA; b=AAAA\r\n"
)
FROM = b"From: a@example.org\r\n"
HUGE = {
    "a file": FROM + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n" + (b"QUJD" * 19 + b"\r\n") * 300_000,
    "links": FROM + b"Content-Type: text/html\r\n\r\n" + b"<a href='http://x.test/1'>y.test</a> " * 550_000,
    "fields": FROM + b"X: y\r\n" * 4_000_000,
    "white space": FROM + b"\r\n" + b" \t" * 12_000_000,
    "bare line feeds": b"From: a@example.org\n\n" + b"a  b\n" * 4_800_000,
    "bare carriage returns": FROM + b"\r\n" + b"a\r" * 12_000_000,
    "parts": FROM + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 2_600_000,
}  # fmt: skip


@pytest.mark.parametrize("content", HUGE.values(), ids=HUGE)
def test_a_huge_mail_needs_little_memory(dns: DnsServer, content: bytes) -> None:
    dns.zone.update(honest_zone("example.org"))  # a key that may be used: the body is hashed
    content = SIGNATURE + content
    context = multiprocessing.get_context("fork")
    child = context.Process(target=_scan, args=(settings_for(dns), content))
    child.start()
    child.join(PATIENCE_S)
    assert child.exitcode == 0, "it raised MemoryError, or did not end"


def _scan(settings: Settings, content: bytes) -> None:
    threading.stack_size(256 * 1024)
    held_octets = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held_octets + MORE_OCTETS,) * 2)
    report = Scanner(settings).scan(message(content), spam_enabled=True, threshold=5.0)
    assert report.spam is not None
    assert report.spam.engine == "builtin"  # not "none": nothing broke on the way
    assert report.auth.dkim[0].result in ("permerror", "fail")
