"""The parts of a mail as far as a filter reads them."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailchute.parts import DEPTH_MAX_COUNT, PARTS_MAX_COUNT, TEXT_MAX_OCTETS, cut_of, parts_of

CUTS = {
    b"A: b\r\n\r\nbody": b"body",
    b"A: b\n\nbody": b"body",
    b"A: b\n\r\nbody": b"body",
    b"A: b\r\n\nbody": b"body",
    b"\r\nbody": b"body",
    b"\nbody": b"body",
    b"A: b\r\n": b"",
    b"": b"",
    b"A: b\r\n\r\nx\n\ny": b"x\n\ny",
    b"A: b\n\nx\r\n\r\ny": b"x\r\n\r\ny",
}


@pytest.mark.parametrize(("content", "body"), CUTS.items(), ids=map(repr, CUTS))
def test_the_body_starts_after_the_first_empty_line(content: bytes, body: bytes) -> None:
    header_end, body_at = cut_of(content)
    assert content[body_at:] == body
    assert header_end <= body_at
    assert b"\n\n" not in content[:header_end].replace(b"\r", b"")


def test_text_and_html_and_files_are_told_apart() -> None:
    file = base64.b64encode(b"MZ\x90 program").decode()
    content = (
        "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n"
        'Content-Type: multipart/alternative; boundary="i"\r\n\r\n--i\r\n\r\nplain text\r\n--i\r\n'
        "Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        "<b>gr=FCn</b>\r\n--i--\r\n--o\r\n"
        'Content-Type: application/pdf; name="=?utf-8?q?r=C3=A9sum=C3=A9.pdf?="\r\n'
        f"Content-Transfer-Encoding: base64\r\n\r\n{file}\r\n--o--\r\n"
    ).encode()
    parts = parts_of(content)
    assert (parts.text, parts.html) == (["plain text\r"], ["<b>grün</b>\r"])
    assert [(f.name, f.media_type, f.head) for f in parts.files] == [
        ("résumé.pdf", "application/pdf", b"MZ\x90 program")
    ]
    assert not parts.is_cut


def test_an_attached_text_is_a_file() -> None:
    content = b"Content-Type: text/html\r\nContent-Disposition: attachment; filename=a.html\r\n\r\n<script>"
    assert [f.name for f in parts_of(content).files] == ["a.html"]


def test_what_is_read_is_bounded() -> None:
    flat = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 10_000
    deep = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(1_000)
    )
    long = b"Content-Type: text/plain\r\n\r\n" + b"x" * (2 * TEXT_MAX_OCTETS)
    assert len(parts_of(flat).text) <= PARTS_MAX_COUNT
    assert parts_of(deep).count <= DEPTH_MAX_COUNT + 2
    assert len(parts_of(long).text[0]) == TEXT_MAX_OCTETS
    assert all(parts_of(content).is_cut for content in (flat, deep, long))


@given(st.binary(max_size=500))
def test_any_octets_have_parts(octets: bytes) -> None:
    assert parts_of(octets).count >= 1
