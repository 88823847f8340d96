"""What an attacker can write costs time in proportion, and never gets past the worker."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path as Path_

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


CALENDAR = b"BEGIN:VCALENDAR\nBEGIN:VEVENT\n"
TNEF = b"\x78\x9f\x3e\x22\x00\x00"


def report(unit: bytes, size: int) -> bytes:
    part = b"--x\r\nContent-Type: message/delivery-status\r\n\r\n" + unit * (size // len(unit))
    return body(part, b"multipart/report; boundary=x")


def bounce(unit: bytes, size: int) -> bytes:
    return b"From: MAILER-DAEMON@b.test\r\nSubject: failure notice\r\n\r\n" + unit * (size // len(unit))


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
    "dmarc without end": lambda n: body(b"<feedback>" * (n // 10), b"text/xml"),
    "dmarc namespaces": lambda n: body(b"<feedback " + b"xmlns:a='' " * (n // 11) + b"/>", b"text/xml"),
    "tls report": lambda n: body(b'{"policies":' + b"[" * n, b"application/tlsrpt+json"),
    "nested comments in From": lambda n: field(b"From", b"(", n),
    "closed comments in From": lambda n: b"From: " + b"(" * (n // 2) + b")" * (n // 2) + b"a@b.test\r\n\r\nx",
    "quoted pairs in From": lambda n: field(b"From", b'"\\', n),
    "comments in Date": lambda n: field(b"Date", b"(", n),
    "groups": lambda n: field(b"To", b"a:b@c.test,", n),
    "long encoded words": lambda n: b"Subject: =?utf-8?q?" + b"=C3" * (n // 3) + b"?=\r\n\r\nx",
    "half characters": lambda n: field(b"Subject", b"=?utf-8?b?4?= ", n),
    "Received": lambda n: field(b"Received", b"from a (b) by ", n),
    "Authentication-Results": lambda n: field(b"Authentication-Results", b"( ", n),
    "name in sections": lambda n: (
        b"Content-Type: a/b\r\n" + field(b"Content-Disposition", b"a; name*0*=%20", n)
    ),
    "long name": lambda n: b"Content-Disposition: a; name*=utf-8''" + b"%41" * (n // 3) + b"\r\n\r\nx",
    "a giant boundary": lambda n: (
        b"Content-Type: multipart/mixed; boundary=" + b"-" * (n // 2) + b"\r\n\r\n" + b"-" * (n // 2)
    ),
    "a boundary of a hyphen": lambda n: body(b"-" * n, b"multipart/mixed; boundary=-"),
    "alternatives": lambda n: body(
        b"".join(b"--x\r\n\r\n%d\r\n" % i for i in range(n // 14)), b"multipart/alternative; boundary=x"
    ),
    "an encoded mail": lambda n: body(
        b"eA==" * (n // 4), b"message/rfc822\r\nContent-Transfer-Encoding: base64"
    ),
    "uuencode as encoding": lambda n: body(
        b"begin \n" * (n // 7), b"a/b\r\nContent-Transfer-Encoding: x-uuencode"
    ),
    "base64 garbage": lambda n: body(b"!" * n, b"a/b\r\nContent-Transfer-Encoding: base64"),
    "soft breaks": lambda n: body(b"=" * n, b"text/plain\r\nContent-Transfer-Encoding: quoted-printable"),
    "html attributes": lambda n: body(b"<a href=x " + b"a=b " * (n // 4), b"text/html"),
    "html comments": lambda n: body(b"<!-- -" * (n // 6), b"text/html"),
    "html scripts": lambda n: body(b"<script><" * (n // 9), b"text/html"),
    "html heads": lambda n: body(b"<head>" * (n // 6), b"text/html"),
    "html links": lambda n: body(
        b"".join(b"<a href=http://a.test/%d>a</a>" % i for i in range(n // 33)), b"text/html"
    ),
    "html entities": lambda n: body(b"&amp;" * (n // 5), b"text/html"),
    "html formatting": lambda n: body(b"<p><font><b><i>" * (n // 15), b"text/html"),
    "html colspans": lambda n: body(b"<table><tr>" + b"<td colspan=9999>a" * (n // 18), b"text/html"),
    "html Markdown signs": lambda n: body(b"<p>*_`[" * (n // 7), b"text/html"),
    "text links": lambda n: body(b"http://a.test/(((( " * (n // 19)),
    "text dots": lambda n: body(b"a." * (n // 2)),
    "reply on": lambda n: body(b"On a wrote:\n" * (n // 12)),
    "reply fields": lambda n: body(b"From: a\nSent: b\n" * (n // 16)),
    "reply hyphens": lambda n: body(b"-----Original " * (n // 14)),
    "calendar guests": lambda n: body(CALENDAR + b"ATTENDEE:mailto:a@b\n" * (n // 20), b"text/calendar"),
    "calendar rule": lambda n: body(CALENDAR + b"RRULE:BYDAY=" + b"MO," * (n // 3), b"text/calendar"),
    "calendar parameters": lambda n: body(
        CALENDAR + b"DTSTART" + b";A=B" * (n // 4) + b":x", b"text/calendar"
    ),
    "calendar folds": lambda n: body(CALENDAR + b"SUMMARY:" + b"a\n " * (n // 3), b"text/calendar"),
    "calendar garbage": lambda n: body(CALENDAR + b"\x00;:=\n" * (n // 5), b"text/calendar"),
    "TNEF attributes": lambda n: body(TNEF + b"\x01" + b"\x00" * 10 + b"\x01" * n, b"application/ms-tnef"),
    "TNEF attachments": lambda n: body(
        TNEF + (b"\x02\x05\x90\x06\x00\x04" + b"\x00" * 9) * (n // 15), b"application/ms-tnef"
    ),
    "delivery status recipients": lambda n: report(
        b"Final-Recipient: rfc822;a@b\r\nStatus: 5.1.1\r\n\r\n", n
    ),
    "delivery status garbage": lambda n: report(b"x\r\n", n),
    "delivery status blanks": lambda n: report(b"\r\n", n),
    "delivery status diagnostic": lambda n: report(
        b"Final-Recipient: a@b\r\nDiagnostic-Code: no mailbox ", n
    ),
    "bounced addresses": lambda n: bounce(b"a@b.test:\n\n", n),
    "bounced at signs": lambda n: bounce(b"a@", n),
    "bounced dots": lambda n: bounce(b"a@a.a.a.a.a.a.", n),
    "bounced copy": lambda n: bounce(b"the header ", n),
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


def test_more_addresses_than_are_shown_are_told() -> None:
    payload = payload_of(b"To: " + b",".join(b"%d@b.test" % n for n in range(1_200)) + b"\r\n\r\nx")
    assert (len(payload.message.to), payload.security.limits) == (1_000, ("addresses",))
    assert "1199@b.test" in payload.message.headers[0].value


def test_every_limit_stands_in_the_documentation_with_its_reason() -> None:
    root = Path_(__file__).parents[3]
    code = "".join(path.read_text() for path in sorted((root / "functions/parse").glob("*.py")))
    named = set(re.findall(r"LimitExceeded\(\"([a-z-]+)\"\)|(?:hit|limits)\.append\(\"([a-z-]+)\"\)", code))
    rows = re.findall(r"(?m)^\| `([a-z-]+)` \|([^|]*)\|([^|]*)\|$", (root / "docs/payload.md").read_text())
    assert {a or b for a, b in named} - {name for name, _, why in rows if why.strip()} == set()


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


LEAVES = (
    b"Content-Type: text/plain%n%n%m%n",
    b"%n%m%n",
    b"Content-Type: text/plain; charset=nonsense; format=flowed%n%n%m %n%n",
    b"Content-Type: text/html%n%n<p>%m</p>%n",
    b"Content-Type: text/html; name=a.html%nContent-Disposition: inline; filename=a.html%n%n<div>%m%n",
    b"Content-Type: text/plain; name=a.txt%nContent-Disposition: attachment%n%n%m%n",
    b"Content-Type: application/x; name==?utf-8?q?a%nContent-ID: <a>%n%n%m%n",
    b"Content-Type: nonsense%n%n%m%n",
    b"Content-Type: text/rtf%n%n{%m}%n",
    b"Content-Type: text/calendar%n%nBEGIN:VCALENDAR%nX-A:%m%n",
    b"Content-Type: application/ms-tnef%n%n%m%n",
    b"Content-Type: message/rfc822%n%nSubject: a%n%n%m%n",
    b"Content-Type: message/rfc822%nContent-Transfer-Encoding: binary%n%n%m%n",
    b"Content-Type: message/delivery-status%n%nA: b%n%nAction: %m%n",
    b"Content-Type: message/external-body; access-type=x%n%nContent-Type: text/plain%n%n%m%n",
    b"Content-Type: text/plain%nContent-Transfer-Encoding: quoted-printable%n%n=3D%m=%n",
    b"Content-Type: text/enriched%n%n<bold>%m</bold>%n",
    b"Content-Type: text/plain%n%nbegin 644 a%n#abc%n%m",
    b"Content-Type: text/plain%n%n=ybegin line=1 name=a%n%m%n",
    b"Content-Type: multipart/mixed; boundary=none%n%n%m%n",
    b"Content-Type: multipart/mixed%n%n%m%n",
)
SUBTYPES = (
    b"mixed",
    b"alternative",
    b"related",
    b"report; report-type=delivery-status",
    b"signed",
    b"x-other",
)


@st.composite
def marked_mails(draw: st.DrawFn, depth: int = 0) -> bytes:
    """Draw an entity whose leaves hold %m each, for a word to be found again; %n is the line end."""
    if depth == 3 or not draw(st.booleans()):
        return draw(st.sampled_from(LEAVES))
    name = b"b%d" % depth
    declared = draw(
        st.sampled_from([b"; boundary=" + name, b'; boundary="' + name + b' "', b"; boundary=x", b""])
    )
    parts = draw(st.lists(marked_mails(depth + 1), min_size=1, max_size=3))
    first_line = b"" if declared.startswith(b"; boundary=" + name[:1]) else b"Content-ID: <c>%n"  # to go by
    inner = b"".join(b"--" + name + b"%n" + first_line + part for part in parts)
    end = draw(st.sampled_from([b"--" + name + b"--%n", b""]))
    return b"Content-Type: multipart/" + draw(st.sampled_from(SUBTYPES)) + declared + b"%n%n" + inner + end


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(marked_mails(), st.sampled_from([b"\r\n", b"\n"]))
def test_every_word_of_every_part_arrives_whatever_the_structure(form: bytes, line_end: bytes) -> None:
    pieces = form.replace(b"%n", line_end).split(b"%m")
    words = [f"marker{number}x" for number in range(len(pieces) - 1)]
    octets = b"".join(p + w for p, w in zip(pieces, [*(w.encode() for w in words), b""], strict=True))
    message = payload_of(b"From: a@b.test" + line_end + octets).message
    shown = [message.content.text, message.content.html or ""]
    shown += [each.content.decode("latin-1") for each in message.attachments if each.content]
    assert [word for word in words if not any(word in each for each in shown)] == []


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
