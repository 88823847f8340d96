"""The one reading of RFC5322.From."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailchute.author import FIELD_MAX_OCTETS, MAILBOX_MAX_COUNT, author_of, read_mailboxes
from mailchute.mailboxes import read_field

CLEAR = {
    "From: a@b.example": (None, "a@b.example"),
    "from:a@b.example": (None, "a@b.example"),
    'From: "Doe, Joe" <joe@B.Example>': ("Doe, Joe", "joe@b.example"),
    "From: Dr. J. Smith <j@x.example>": ("Dr. J. Smith", "j@x.example"),
    "From: Joe\r\n Doe\r\n\t<j@x.example>": ("Joe Doe", "j@x.example"),
    "From: Joe  Doe <j@x.example>": ("Joe Doe", "j@x.example"),
    'From: "Joe  Doe" <j@x.example>': ("Joe  Doe", "j@x.example"),  # 3.2.4: blanks are part of it
    'From: "Joe,\r\n Doe" <j@x.example>': ("Joe, Doe", "j@x.example"),
    "From: j@x.example (Joe\t  Doe)": ("Joe Doe", "j@x.example"),
    "From: =?utf-8?q?J=C3=B6?= =?utf-8?q?rg?= <j@x.example>": ("Jörg", "j@x.example"),
    "From: =?utf-8?B?w7bDtsM=?= =?utf-8?B?tg==?= <j@x.example>": ("ööö", "j@x.example"),
    "From: j@x.example (Joe Doe)": ("Joe Doe", "j@x.example"),
    'From: "admin@bank.example" <x@evil.example>': ("admin@bank.example", "x@evil.example"),
    'From: "O\\"Hara" <o@x.example>': ('O"Hara', "o@x.example"),
    'From: "joe"@x.example': (None, '"joe"@x.example'),
    "From: o'neil+tag=1@x.example": (None, "o'neil+tag=1@x.example"),
    "From x@y Sat Nov 21\nFrom: a@b.example\nTo: c": (None, "a@b.example"),
    "DKIM-Signature: h=Subject:\r\n From:To\r\nFrom: a@b.example": (None, "a@b.example"),
    "From: a@b.example\r\n\r\nFrom: c@d.example": (None, "a@b.example"),
    "From: joe@[192.0.2.1]": (None, "joe@[192.0.2.1]"),
}
AMBIGUOUS = {
    "": "no From field",
    "To: a@b\r\n": "no From field",
    "From:": "0 addresses",
    "From: <>": "0 addresses",
    "From: a@b\r\nFrom: a@b": "2 From fields",
    "From: a@b, c@d": "2 addresses",
    "From : a@b": "white space",
    "From\r\n : a@b": "white space",
    "From\t: a@b": "white space",
    "\ufeffFrom: a@b": "white space",
    "From: grp: a@b;": "group",
    "From: <@legit:a@b>": "well-formed",
    'From: "a@legit"@b': "well-formed",
    "From: =?utf-8?B?YUBi?=": "well-formed",
    "From: =?utf-8?q?a?=@b.example": "well-formed",
    "From: joe": "well-formed",
    "From: a@b.": "well-formed",
    "From: a@-b.example": "well-formed",
    "From: a..b@c.example": "well-formed",
    "From: a@legit <c@d>": "display name",
    "From: (a@legit) <c@d>": "comment",
    "From: c@d (<a@legit>)": "comment",
    "From: <a(x)@b>": "comment",
    "From: <a@b>\\,<c@d>": "after the address",
    "From: <a@b> <c@d>": "after the address",
    "From: a\x00@b": "control",
    'From: "unterminated <a@b>': "quotation mark",
    "From: <a@b": "angle bracket",
    "From: =?utf-8?B?PGFAbGVnaXQ+LA==?= <c@d>": "encoded display name",
    "nonsense\r\nFrom: a@b": "no header field",
    "Subject: x\rFrom: c@d\r\nFrom: a@b": "bare CR",
    " From: a@legit\r\nFrom: c@d": "folded line",
}


@pytest.mark.parametrize(("header", "shown"), CLEAR.items(), ids=CLEAR)
def test_a_clear_from_has_one_address(header: str, shown: tuple[str | None, str]) -> None:
    author = author_of(header.encode())
    assert (author.is_ambiguous, author.reason) == (False, None)
    assert [(m.name, m.email) for m in author.mailboxes] == [shown]
    assert author.address == shown[1]
    assert author.domain == shown[1].rpartition("@")[2]


@pytest.mark.parametrize(("header", "reason"), AMBIGUOUS.items(), ids=AMBIGUOUS)
def test_what_two_readers_could_read_differently_is_ambiguous(header: str, reason: str) -> None:
    author = author_of(header.encode())
    assert (author.address, author.domain, author.is_ambiguous) == (None, None, True)
    assert reason in (author.reason or "")


def test_an_ambiguous_from_is_still_shown() -> None:
    assert [m.email for m in author_of(b"From: a@b, c@d").mailboxes] == ["a@b", "c@d"]


def test_a_latin_1_name_is_shown_and_a_latin_1_address_is_not_trusted() -> None:
    assert author_of(b"From: \xe9t\xe9 <a@b.example>").mailboxes[0].name == "été"
    assert author_of(b"From: <\xe9@b.example>").is_ambiguous


def test_an_address_in_utf_8_is_one() -> None:
    assert author_of("From: <ü@bücher.example>".encode()).address == "ü@bücher.example"


@pytest.mark.parametrize(
    "flood", [b'"\\"', b"(", b"=?a?b?", b"<", b",", b"a ", b"\r\n ", b"\\", b'"', b"a@b,"], ids=repr
)
def test_a_hostile_field_takes_linear_time(flood: bytes) -> None:
    """Quadratic time would run into the suite's time limit."""
    assert author_of(b"From: " + flood * (2_000_000 // len(flood))).is_ambiguous


def test_what_is_shown_is_bounded() -> None:
    assert len(read_mailboxes(b"a@b," * FIELD_MAX_OCTETS)) == MAILBOX_MAX_COUNT


@given(st.binary(max_size=300))
def test_nothing_raises_and_only_one_mailbox_is_ever_trusted(octets: bytes) -> None:
    author = author_of(b"From: " + octets)
    assert author.is_ambiguous == (author.address is None)
    assert author.is_ambiguous or len(author.mailboxes) == 1


@given(
    st.lists(
        st.sampled_from(['"', "<", ">", " ", "  ", "Joe", ".", ",", "@", "-", "B.example", "a"]), max_size=10
    )
)
def test_a_plain_field_is_read_as_by_the_reader_of_all(pieces: list[str]) -> None:
    body = " ".join(["", "".join(pieces) + " <joe@b-c.Example>"]).encode()
    mailboxes, fault = read_field(body)
    author = author_of(b"From:" + body)
    assert author.mailboxes == mailboxes
    if fault is None and len(mailboxes) == 1:
        assert author.address == mailboxes[0].email
    else:
        assert author.is_ambiguous


@pytest.mark.parametrize("domain", ["a..b", "-a.b", "a-.b", "a" * 64 + ".b", ".b", "b.", "a_b.c", "A.b"])
def test_a_domain_is_read_alike_in_plain_fields(domain: str) -> None:
    body = f" Joe <joe@{domain}>".encode()
    assert author_of(b"From:" + body).mailboxes == read_field(body)[0]
    assert author_of(b"From:" + body).is_ambiguous == (read_field(body)[1] is not None)
