"""A spool gives back what was written, as it goes over the wire."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.mails import Mail
from bench.spool import Spool, on_the_wire


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b".a\r\n..b\r\n", b"..a\r\n...b\r\n.\r\n"),
    ],
)
def test_content_is_dot_stuffed_and_ended(content: bytes, wire: bytes) -> None:
    assert on_the_wire(content) == wire


def test_mails_come_back_in_order(tmp_path: Path) -> None:
    mails = [
        Mail(token=f"bench.r1.{n:06}", kind="small", sender="a@b.test", octets=b"x" * n + b"\r\n")
        for n in range(3)
    ]
    assert Spool(tmp_path / "new").write(mails, "support@inbox.test") == 3
    read = list(Spool(tmp_path / "new").read())
    assert [(entry.token, bytes(octets)) for entry, octets in read] == [
        (mail.token, on_the_wire(mail.octets)) for mail in mails
    ]
