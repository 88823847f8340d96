"""What an attacker can write costs time in proportion, and never gets past the worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mailchute import wire
from mailchute.alias import AliasSnapshot
from mailchute.envelope import Envelope, Path
from mailchute.mail import MailObject
from mailchute.parsed import ParseRequest
from mailchute.payload import Payload
from mailchute.verdicts import ScanReport

from functions.parse.draft import finished
from functions.parse.flowed import unflowed
from functions.parse.inline_files import taken_out
from functions.parse.markup import read_markup
from functions.parse.reply import split_reply
from functions.parse.safe_html import cleaned
from functions.parse.settings import WorkerSettings
from functions.parse.text_links import links_in
from functions.parse.transfer import decode_transfer
from functions.parse.words import text_of
from functions.parse.worker import draft_of

UNIT_OCTETS = 40_000
RATIO_MAX = 3.2  # twice the input, thrice the time at most; a square would take four times
ATTEMPTS_MAX_COUNT = 6
NOISE_S = 0.004  # what is faster than this is not worth a ratio


def request_of(content: bytes) -> ParseRequest:
    return ParseRequest(
        mail=MailObject(
            id="msg_01JD5W00000000000000000000",
            envelope=Envelope(
                reverse_path=None, forward_path=Path("a", "inbox.test"), client_ip="192.0.2.1", helo="x"
            ),
            alias=AliasSnapshot(
                account_id="a", domain_id="d", alias_id="s", address="a@inbox.test", endpoints=()
            ),
            received_at=datetime(2026, 11, 21, tzinfo=UTC),
            content=content,
            fingerprint="0" * 64,
            size_octets=len(content),
        ),
        report=ScanReport(),
    )


def payload_of(content: bytes) -> Payload:
    draft = draft_of(request_of(content), WorkerSettings())
    return wire.decode_json(finished(draft).payload, Payload)


def body(text: bytes, media_type: bytes = b"text/plain") -> bytes:
    return b"From: a@b.test\r\nContent-Type: " + media_type + b"\r\n\r\n" + text


def field(name: bytes, unit: bytes, size: int) -> bytes:
    return name + b": " + unit * (size // len(unit)) + b"\r\n\r\nx\r\n"


def repeated(unit: str) -> Callable[[int], str]:
    return lambda size: unit * (size // len(unit))


MAILS: dict[str, Callable[[int], bytes]] = {
    "encoded words": lambda n: field(b"Subject", b"=?utf-8?q?a?= ", n),
    "encoded words without end": lambda n: field(b"Subject", b"=?utf-8?q?", n),
    "addresses": lambda n: field(b"To", b"a@b.test,", n),
    "comments": lambda n: field(b"To", b"(", n),
    "quotes": lambda n: field(b"To", b'"', n),
    "angle brackets": lambda n: field(b"Cc", b"<a@b>", n),
    "parameters": lambda n: field(b"Content-Type", b"a=b;", n),
    "open quoted parameter": lambda n: field(b"Content-Type", b'a="\\', n),
    "msg-ids": lambda n: field(b"References", b"<a@b> ", n),
    "open msg-ids": lambda n: field(b"References", b"<", n),
    "folds": lambda n: b"Subject: x" + b"\r\n " * (n // 3) + b"\r\n\r\nx",
    "lines without name": lambda n: b"x\r\nA:b\r\n" * (n // 8) + b"\r\n",
    "delimiters": lambda n: body(b"--x\r\n" * (n // 5), b"multipart/mixed; boundary=x"),
    "almost delimiters": lambda n: body(b"--xy\r\n" * (n // 6), b"multipart/mixed; boundary=x"),
    "guessed delimiters": lambda n: body(b"--y\r\n" * (n // 5), b"multipart/mixed"),
    "nested multiparts": lambda n: b"".join(
        b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (i, i) for i in range(n // 60)
    ),
    "nested mails": lambda n: b"Content-Type: message/rfc822\r\n\r\n" * (n // 32),
    "uuencode": lambda n: body(b"begin 644 a\r\n#abc\r\n" * (n // 19)),
    "yenc": lambda n: body(b"=ybegin line=1 name=a\r\n" * (n // 23)),
    "base64 padding": lambda n: body(
        b"QQ==" * (n // 4), b"application/x\r\nContent-Transfer-Encoding: base64"
    ),
    "quoted-printable": lambda n: body(
        b"=  " * (n // 3), b"text/plain\r\nContent-Transfer-Encoding: quoted-printable"
    ),
    "eight bit": lambda n: body(b"\xe4\x80 " * (n // 3)),
    "escapes": lambda n: body(b"\x1b$B" * (n // 3)),
    "html tags": lambda n: body(b"<div>" * (n // 5), b"text/html"),
    "html tables": lambda n: body(b"<table><tr><td>" * (n // 15), b"text/html"),
    "bounce": lambda n: (
        b"From: MAILER-DAEMON@b.test\r\nSubject: failure notice\r\n\r\n" + b"a@b.test failed\n" * (n // 16)
    ),
    "delivery status": lambda n: body(
        b"--x\r\nContent-Type: message/delivery-status\r\n\r\n" + b"A: b\r\n\r\n" * (n // 8),
        b"multipart/report; boundary=x",
    ),
    "calendar": lambda n: body(b"BEGIN:VCALENDAR\r\n" + b"BEGIN:VEVENT\r\n" * (n // 14), b"text/calendar"),
    "dmarc": lambda n: body(b"<feedback>" + b"<record>" * (n // 8), b"application/xml"),
}

TEXTS: dict[str, tuple[Callable[[str], object], Callable[[int], str]]] = {
    f"{reader.__name__} {unit[:12]!r}": (reader, repeated(unit))
    for reader, units in (
        (
            read_markup,
            (
                "<",
                "<a ",
                "<a href=",
                "<a href='",
                '<p x="',
                "<!--",
                "<script>",
                "<pre> ",
                "<a href=x>y",
                "&#",
                "</p>",
            ),
        ),
        (cleaned, ("<img ", '<img src="', "<a href='?utm_a=b&", "<", "style=")),
        (
            lambda text: list(links_in(text)),
            ("http://a/(", "a.", "a@", "http://", "//a.b", "a.b@c.d ", "mailto:a@", "(((", "www.a.b/[", "é."),
        ),
        (
            split_reply,
            ("> ", ">\n", "On x wrote:\n", "On a\n", "-- \n", "From: a\n", "__________\n", "Von: a:\n"),
        ),
        (lambda text: unflowed(text, delete_space=True), ("a \n", "> \n", ">>> \n")),
        (lambda text: taken_out(text.encode()), ("begin 644 a\n", "=ybegin name=a\n", "begin ")),
        (lambda text: text_of(text.encode()), ("=?", "=?a?q?", "=?utf-8?b?YQ==?= ", "=?x?b?!?=")),
    )
    for unit in units
}


BULK_OCTETS = 1_500_000  # where copying what was gathered so far for each line would show
BULK: dict[str, Callable[[int], object]] = {
    "flowed": lambda size: unflowed("a \n" * (size // 3), delete_space=False),
    "uuencode": lambda size: taken_out(b"begin 644 a\n" + b"#abc\n" * (size // 5) + b"end\n"),
    "uuencode again and again": lambda size: taken_out(b"begin 644 a\n#abc\nend\n" * (size // 20)),
    "base64": lambda size: decode_transfer(b"QQ==\n" * (size // 5), "base64"),
    "html text": lambda size: read_markup("<p>a</p>\n" * (size // 9)),
    "reply": lambda size: split_reply("> a\nb\n" * (size // 6)),
}


def cpu_s(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def is_linear(work: Callable[[int], object], unit: int = UNIT_OCTETS) -> bool:
    """Say whether twice the input takes at most about twice the time, in the best of some attempts."""
    for _ in range(ATTEMPTS_MAX_COUNT):
        once, twice = cpu_s(lambda: work(unit)), cpu_s(lambda: work(2 * unit))
        if twice < NOISE_S or twice <= RATIO_MAX * once:
            return True
    return False


@pytest.mark.parametrize("name", MAILS)
def test_a_hostile_mail_costs_time_in_proportion(name: str) -> None:
    assert is_linear(lambda size: payload_of(MAILS[name](size)))


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_text_costs_time_in_proportion(name: str) -> None:
    reader, make = TEXTS[name]
    assert is_linear(lambda size: reader(make(size)))


@pytest.mark.parametrize("name", BULK)
def test_much_of_the_same_costs_time_in_proportion(name: str) -> None:
    assert is_linear(BULK[name], BULK_OCTETS)


LIMITS = {
    "header-count": b"A: b\r\n" * 1_001 + b"\r\n",
    "header-section-size": (b"A: " + b"x" * 60_000 + b"\r\n") * 5 + b"\r\n",
    "header-field-size": b"A: " + b"x" * 70_000 + b"\r\n\r\n",
    "depth": MAILS["nested multiparts"](60 * 60),
    "nested-mails": MAILS["nested mails"](32 * 12),
    "parts": body(b"--x\r\n\r\n" * 1_001, b"multipart/mixed; boundary=x"),
    "parameters": b"Content-Type: text/plain" + b";a=b" * 60 + b"\r\n\r\n",
}


@pytest.mark.parametrize("limit", LIMITS)
def test_over_a_limit_the_raw_mail_arrives_and_the_limit_is_named(limit: str) -> None:
    payload = payload_of(LIMITS[limit])
    assert payload.security.degraded
    assert payload.security.limits == (limit,)
    assert payload.message.attachments[0].content == LIMITS[limit]


def test_html_that_nests_too_deep_is_shown_as_text_and_not_given_to_a_tree_builder() -> None:
    payload = payload_of(body(b"<div>" * 5_000 + b"hello", b"text/html"))
    assert payload.security.limits == ("html-depth",)
    assert not payload.security.degraded
    assert payload.message.content.markdown == "hello"


HEADER_NAMES = st.sampled_from(
    [
        "From",
        "To",
        "Cc",
        "Subject",
        "Date",
        "Message-ID",
        "References",
        "Content-Type",
        "Content-Disposition",
        "Content-Transfer-Encoding",
        "Content-ID",
        "Auto-Submitted",
        "X",
    ]
)
HEADER_VALUES = st.one_of(
    st.binary(max_size=60).map(lambda octets: octets.replace(b"\n", b"").replace(b"\r", b"")),
    st.sampled_from(
        [
            b"text/plain; charset=utf-7",
            b"text/html; charset=x",
            b"multipart/mixed; boundary=b",
            b"multipart/alternative; boundary=b",
            b"multipart/report; report-type=delivery-status; boundary=b",
            b"message/rfc822",
            b"message/delivery-status",
            b"text/calendar; method=REQUEST",
            b"application/ms-tnef",
            b"text/plain; format=flowed; delsp=yes",
            b"base64",
            b"quoted-printable",
            b"x-uuencode",
            b'attachment; filename="../a\x00b"',
            b"inline; filename*0*=utf-8''%e4; filename*1=b",
            b"=?utf-8?b?4?= =?x?q?=ff?=",
            b"Ada <a@b.test>, c@d.test",
            b"group: a@b;",
            b"(comment",
            b"Sat, 99 Foo 0000 99:99:99 +9999",
        ]
    ),
)
BODIES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            b"begin 644 a\n#abc\nend\n",
            b"=ybegin name=a\n\xff=\n=yend size=1\n",
            b"<a href='&#xD800;'>\x00</a>",
            b"\x78\x9f\x3e\x22\x00\x00\x01",
            b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:x\nEND:VEVENT\nEND:VCALENDAR",
            b"Final-Recipient: rfc822; a@b\nStatus: 5\n\n",
            b"> a\nOn x, y wrote:\n> b\n-- \nc",
            b"\x1b$B\x80",
            b"\xef\xbb\xbfx",
            b"=E4=\n=",
            b"http://[::1/ http://a.b@",
            b"PK\x03\x04",
            b"<feedback></feedback>",
        ]
    ),
)


@st.composite
def entities(draw: st.DrawFn, depth: int = 0) -> bytes:
    """Draw a header section with a body, the parts of it entities again."""
    fields = draw(st.lists(st.tuples(HEADER_NAMES, HEADER_VALUES), max_size=6))
    line_end = draw(st.sampled_from([b"\r\n", b"\n"]))
    head = b"".join(name.encode() + b": " + value + line_end for name, value in fields)
    parts = draw(st.lists(entities(depth + 1), max_size=3)) if depth < 3 else []
    inner = b"".join(b"--b" + line_end + part + line_end for part in parts)
    return head + line_end + draw(BODIES) + line_end + inner + (b"--b--" if draw(st.booleans()) else b"")


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(entities())
def test_no_structure_brings_the_parser_down_or_loses_the_mail(octets: bytes) -> None:
    draft = draft_of(request_of(octets), WorkerSettings())
    assert draft.failure is None
    again = draft_of(request_of(octets), WorkerSettings())
    assert finished(draft).payload == finished(again).payload


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=600))
def test_no_octets_bring_the_parser_down(octets: bytes) -> None:
    assert draft_of(request_of(octets), WorkerSettings()).failure is None
