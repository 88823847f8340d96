"""Mail as other projects collected it, much of it broken: each message arrives, and arrives once."""

from __future__ import annotations

import hashlib
import os
import re
import smtplib
from pathlib import Path

import pytest

from tests.e2e.system import SECRET, System
from tests.servers.sink import Sink

pytestmark = [pytest.mark.corpus, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("MAILCHUTE_CORPUS", str(ROOT.parent / "shared" / "corpus"))) / "mime"
COUNT = 200
SUFFIXES = {".eml", ".msg", ".txt", ".raw", ".mbox", ""}
MALFORMED = {
    "no header section": b"\r\nOnly a body.\r\n",
    "nothing at all": b"",
    "no blank line": b"From: ada@example.org\r\nSubject: cut",
    "a header section of garbage": bytes(range(128, 256)) * 20 + b"\r\n\r\nx\r\n",
    "a boundary that never comes": b'Content-Type: multipart/mixed; boundary="b"\r\n\r\nx\r\n',
    "parts within parts": b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (depth, depth)
        for depth in range(150)
    ),
    "base64 that is none": b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!\xff\r\n",
    "a charset nobody knows": b"Content-Type: text/plain; charset=klingon\r\n\r\n\xe4\xf6\r\n",
    "two From fields": b"From: a@example.org\r\nFrom: b@example.org\r\n\r\nx\r\n",
    "NUL octets": b"From: ada@example.org\r\nSubject: \x00\r\n\r\n\x00\x00\r\n",
}


def messages() -> list[bytes]:
    """Return messages spread over all folders, as they go over the wire: CRLF, no line too long for SMTP."""
    files = (path for path in CORPUS.rglob("*") if path.is_file() and path.suffix.lower() in SUFFIXES)
    paths = sorted(path for path in files if path.stat().st_size and not path.name.startswith("_"))
    chosen = paths[:: max(1, len(paths) // COUNT)][:COUNT]
    return [re.sub(rb"\r\n|\r|\n", b"\r\n", path.read_bytes()) for path in chosen]


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the corpus is not there: {COUNT} messages not sent")
@pytest.mark.timeout(400)
def test_200_real_messages_each_arrive_once(system: System, sink: Sink) -> None:
    accepted: dict[str, str] = {}
    refused = []
    sent = dict.fromkeys(messages())  # some files are the same mail
    with smtplib.SMTP(*system.smtp, timeout=60) as client:
        client.ehlo("client.example.org")
        for content in sent:
            client.mail("ada@example.org")
            client.rcpt("support@inbox.test")
            code, text = client.data(content)
            if code == 250:
                accepted[re.findall(rb"msg_\w+", text)[0].decode()] = _hash_of(content)
            else:
                refused.append((code, text))
                client.rset()
    assert len(accepted) >= 0.9 * len(sent), refused
    sink.wait_for("/support", len(accepted), timeout_s=200)
    posts = sink.posts("/support")
    for post in posts:
        post.verify(SECRET)
    assert sorted(post.json["id"] for post in posts) == sorted(accepted)
    assert {post.json["id"]: post.json["integrity"]["rawHash"] for post in posts} == accepted


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_mail_arrives_all_the_same(system: System, sink: Sink, name: str) -> None:
    # Unlike any other run's, so that it is no resend.
    content = MALFORMED[name] + b"\r\n" + os.urandom(6).hex().encode() + b"\r\n"
    _, reply = system.send(content, "support@inbox.test")
    assert reply[0] == 250
    [post] = sink.wait_for("/support", timeout_s=60)
    assert post.json["id"] in reply[1]


def _hash_of(content: bytes) -> str:
    """Return the hash of what the server saw after DATA: it ends with CRLF (RFC 5321, 4.1.1.4)."""
    whole = content if content.endswith(b"\r\n") else content + b"\r\n"
    return f"sha256:{hashlib.sha256(whole).hexdigest()}"
