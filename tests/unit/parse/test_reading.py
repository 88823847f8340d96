"""From text to meaning: HTML, Markdown, links, replies, calendars, bounces, reports."""

from __future__ import annotations

import base64
import gzip
import json

import pytest
from linkify_it import LinkifyIt
from mailchute.payload import Bounce

from functions.parse.bodies import sort_leaves
from functions.parse.bounce import bounce_of, recipient
from functions.parse.entity import read_mail
from functions.parse.invitations import events_of, read_calendar
from functions.parse.links import links_of
from functions.parse.markdown import ENGINES, Engine, markdown_of
from functions.parse.markup import read_markup
from functions.parse.reply import split_reply
from functions.parse.report import report_of
from functions.parse.safe_html import cleaned, sanitised, untracked
from functions.parse.text_links import links_in
from functions.parse.unpacking import UNPACKED_MAX_OCTETS, unpacked


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("a<br>b<div>c</div>d", "a\nb\nc\nd"),
        ("<ul><li>1<li>2</ul>", "- 1\n- 2"),
        ("<head><title>t</title><style>p{}</style></head><body>x<script>y</script></body>", "x"),
        ("<style>never closed", ""),
        ("a<!-- <b> -->b", "ab"),
        ("1 < 2 &amp; 3 &gt; 2", "1 < 2 & 3 > 2"),
        ("<pre>  a\n   b</pre>", "a\n   b"),
        ("<img alt='A & B' src=x>", "A & B"),
        ("<a title=it's href=x>y</a>z", "yz"),
        ("a \n\t b&nbsp;c&zwnj;", "a b c"),
        ("<table><tr><td>1<td>2<tr><td>3</table>", "1 2\n3"),
        ("<p a='>'>x", "x"),
        ("\x01\x02x", "x"),
        ("", ""),
    ],
)
def test_a_person_sees_this_text(html: str, text: str) -> None:
    assert " ".join(read_markup(html).text.split(" ")).replace("12", "1 2") == text


@pytest.mark.parametrize("engine", ENGINES)
def test_either_engine_makes_markdown(engine: Engine) -> None:
    html = "<h1>Title</h1><p>See <a href='https://a.test/x'>this</a> <b>now</b></p>"
    assert markdown_of(html, engine) == "# Title\n\nSee [this](https://a.test/x) **now**"


def test_the_default_engine_does_the_work_itself() -> None:
    assert (
        markdown_of("<ul><li>one</li></ul>", "html-to-markdown") == "- one"
    )  # markdownify writes an asterisk


def test_links_come_in_reading_order_and_once() -> None:
    reading = read_markup(
        "<a href='https://b.test/1'>b</a><a href=' https://a.test/2 '>https://bank.test/login</a>"
        "<a href='https://b.test/1'>again</a><a href='javascript:x'>no</a><a href='#top'>no</a>"
        "<a href='mailto:a@c.test?subject=x'>write</a><a href='https://www.d.test'>d.test</a>"
    )
    links, cut = links_of(reading.anchors, "see https://e.test/3 and https://b.test/1")
    assert [(link.url, link.text, link.domain, link.mismatch) for link in links] == [
        ("https://b.test/1", "b", "b.test", False),
        ("https://a.test/2", "https://bank.test/login", "a.test", True),
        ("mailto:a@c.test?subject=x", "write", "c.test", False),
        ("https://www.d.test", "d.test", "www.d.test", False),
        ("https://e.test/3", "", "e.test", False),
    ]
    assert not cut


def test_more_links_than_the_limit_are_cut_and_told() -> None:
    links, cut = links_of([], " ".join(f"http://a{number}.test/" for number in range(1_500)))
    assert (len(links), cut) == (1_000, True)


SENTENCES = (
    "Go to www.example.com, or https://example.org/a_(b)! Write ada@example.org.",
    "No link: node.js, 1.2.3, foo@bar, path:to:file, e.g. this. Also not a.b",
    "<http://a.test/x?y=1&z=2#f> and (http://b.test/). http://c.test:8080/d;e,f",
    "ftp://files.example.com/x.tar.gz MAILTO:x@y.example.com //cdn.example.net/lib.js",
)


@pytest.mark.parametrize("text", SENTENCES)
def test_links_in_text_are_those_of_linkify_it(text: str) -> None:
    linkify = LinkifyIt(options={"fuzzy_ip": True})
    linkify.normalize = lambda match: None
    assert [written for written, _ in links_in(text)] == [match.url for match in linkify.match(text) or []]


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://a.test/?utm_source=x&id=1", "https://a.test/?id=1"),
        ("https://a.test/?id=1&amp;fbclid=x#f", "https://a.test/?id=1#f"),
        ("https://a.test/?utm_source=x", "https://a.test/"),
        ("https://a.test/?a=%2b&sig=x%3D", "https://a.test/?a=%2b&sig=x%3D"),
        ("https://a.test/utm_source", "https://a.test/utm_source"),
    ],
)
def test_tracking_parameters_go_and_all_else_stays_as_it_was(url: str, clean: str) -> None:
    assert untracked(url) == clean


def test_clean_html_has_no_pixels_and_safe_html_no_scripts() -> None:
    html = (
        '<a href="https://a.test/?utm_id=1&amp;x=2">a</a><img src="p.gif" width="1" height="1">'
        "<img src='q.gif' style='display:none'><img src='r.png' width=100 height=1><script>x</script>"
    )
    assert cleaned(html) == (
        "<a href=\"https://a.test/?x=2\">a</a><img src='r.png' width=100 height=1><script>x</script>"
    )
    assert "script" not in sanitised(html)
    assert "onerror" not in sanitised("<img src=x onerror=alert(1)>")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "Yes.\n\nOn Mon, Ada <a@b.test> wrote:\n> No?\n",
            ("Yes.", "On Mon, Ada <a@b.test> wrote:\n> No?", ""),
        ),
        (
            "Ja.\n\nAm 1.1.2026 um 10:00 schrieb Ada\n<a@b.test>:\n> Nein?\n",
            ("Ja.", "Am 1.1.2026 um 10:00 schrieb Ada\n<a@b.test>:\n> Nein?", ""),
        ),
        (
            "Oui.\nLe lun. 1 janv. 2026, Ada a écrit :\n> Non ?",
            ("Oui.", "Le lun. 1 janv. 2026, Ada a écrit :\n> Non ?", ""),
        ),
        (
            "Ok\n\n-----Original Message-----\nFrom: x\nText",
            ("Ok", "-----Original Message-----\nFrom: x\nText", ""),
        ),
        (
            "Ok\n\nFrom: Ada\nSent: Monday\nTo: Bob\nSubject: x\n\nText",
            ("Ok", "From: Ada\nSent: Monday\nTo: Bob\nSubject: x\n\nText", ""),
        ),
        ("> one?\nyes\n> two?\nno", ("yes\nno", "> one?\n> two?", "")),
        ("Hello\n-- \nAda", ("Hello", "", "-- \nAda")),
        ("Hello\n\nSent from my iPhone", ("Hello", "", "Sent from my iPhone")),
        ("From: the first word of a sentence", None),
        ("On reflection he wrote: nothing at all", None),
        ("Hello", None),
    ],
)
def test_a_reply_is_taken_apart(text: str, parts: tuple[str, str, str] | None) -> None:
    reply = split_reply(text)
    assert (None if reply is None else (reply.text, reply.quoted.strip(), reply.signature)) == parts


INVITATION = """BEGIN:VCALENDAR
METHOD:REPLY
BEGIN:VEVENT
UID:1@b.test
SEQUENCE:2
DTSTART:20261121T100000Z
DTEND;VALUE=DATE:20261122
ORGANIZER:mailto:o@b.test
ATTENDEE;PARTSTAT=ACCEPTED:mailto:a@b.test
SUMMARY:Lunch\\, then coffee
END:VEVENT
END:VCALENDAR
"""


def test_an_invitation_says_who_answered_what() -> None:
    mail = f"Content-Type: text/calendar; method=request\n\n{INVITATION}".replace("\n", "\r\n").encode()
    (event,) = events_of(sort_leaves(read_mail(mail)).attachments)
    assert (event.method, event.uid, event.sequence) == ("REPLY", "1@b.test", 2)
    assert (event.start, event.end) == ("2026-11-21T10:00:00+00:00", "2026-11-22")
    assert (event.organizer, event.summary) == ("o@b.test", "Lunch, then coffee")
    assert [(each.email, each.partstat) for each in event.attendees] == [("a@b.test", "ACCEPTED")]


@pytest.mark.parametrize(
    ("text", "summaries"),
    [
        ("BEGIN:VEVENT\nSUMMARY:a", ["a"]),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:a\nEND:VEVENT\nBEGIN:VEVENT\nSUMMARY:b", ["a", "b"]),
        ("BEGIN:VCALENDAR\nX\nBEGIN:VEVENT\nno property\nSUMMARY:a\nEND:VEVENT\nEND:VCALENDAR", ["a"]),
        ("BEGIN:VCALENDAR\r\r\nBEGIN:VEVENT\r\r\nSUMMARY:a\r\r\n b\r\r\nEND:VEVENT\r\r\n", ["ab"]),
        ("END:VEVENT\nBEGIN:VEVENT\nEND:VALARM\nSUMMARY:a\nEND:VEVENT\nEND:VEVENT", ["a"]),
        ("BEGIN:VEVENT\n" * 1_000, [None] * 8),
    ],
)
def test_what_is_broken_about_a_calendar_does_not_cost_its_events(text: str, summaries: list[str]) -> None:
    assert [event.summary for event in read_calendar(text)] == summaries


@pytest.mark.parametrize("text", ["", "x", "BEGIN:VCALENDAR", "BEGIN:VEVENT\nDTSTART:x\nEND:VEVENT"])
def test_a_broken_calendar_gives_what_can_be_read_of_it(text: str) -> None:
    assert all(event.start is None for event in read_calendar(text))


DSN = """Content-Type: multipart/report; report-type=delivery-status; boundary=x

--x

Sorry.
--x
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.b.test

Final-Recipient: rfc822; ada@b.test
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such user

Final-Recipient: rfc822; bob@b.test
Action: delayed
Status: 4.4.1

Final-Recipient: rfc822; carol@b.test
Action: delivered
Status: 2.0.0
--x
Content-Type: text/rfc822-headers

Message-ID: <1@c.test>
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
--x--
"""


def test_a_dsn_names_who_was_not_reached_and_why() -> None:
    bounce = bounce_of(read_mail(DSN.encode()), "Sorry.", is_null_reverse_path=True)
    assert bounce is not None
    assert [(each.address, each.action, each.type, each.reason) for each in bounce.recipients] == [
        ("ada@b.test", "failed", "hard", "no-such-user"),
        ("bob@b.test", "delayed", "soft", "unreachable"),
    ]
    assert bounce.original.message_id == "<1@c.test>"
    assert bounce.original.subject == "Grüße"


@pytest.mark.parametrize(
    ("status", "diagnostic", "kind", "reason"),
    [
        ("5.1.1", None, "hard", "no-such-user"),
        ("5.2.2", "mailbox full", "soft", "mailbox-full"),
        (None, "552 5.2.2 over quota", "soft", "mailbox-full"),
        (None, "550 Requested action not taken: mailbox unavailable", "hard", "no-such-user"),
        (None, "421 try again later", "soft", "unreachable"),
        ("5.7.1", "blocked as spam", "hard", "policy"),
        ("5.3.4", None, "hard", "too-big"),
        (None, "", "hard", "other"),
    ],
)
def test_a_failure_comes_down_to_a_reason(
    status: str | None, diagnostic: str | None, kind: str, reason: str
) -> None:
    bounced = recipient("a@b.test", "failed", status, diagnostic)
    assert (bounced.type, bounced.reason) == (kind, reason)


def free_bounce(mail: str) -> Bounce | None:
    root = read_mail(mail.encode())
    text = "\n".join(slot.text or "" for slot in sort_leaves(root).slots)
    return bounce_of(root, text, is_null_reverse_path=False)


@pytest.mark.parametrize(
    ("action", "status", "found"),
    [
        ("failure", "553 Exceeded maximum inbound message size", [("failed", "5.0.0", "hard", "too-big")]),
        ("error", "5.0.0", [("failed", "5.0.0", "hard", "other")]),
        ("", "4.4.7", [("failed", "4.4.7", "soft", "unreachable")]),
        ("sent", "2.0.0", []),
    ],
)
def test_an_action_that_no_standard_knows_is_a_failure_unless_the_status_says_else(
    action: str, status: str, found: list[tuple[str, str, str, str]]
) -> None:
    bounce = free_bounce(
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n"
        f"Final-Recipient: rfc822; a@b.test\nAction: {action}\nStatus: {status}\n"
    )
    told = [] if bounce is None else bounce.recipients
    assert [(each.action, each.status, each.type, each.reason) for each in told] == found


RETURNED = "--x\nContent-Type: message/rfc822\n\nMessage-ID: <1@c.test>\nSubject: hello\n\nhello\n--x--\n"


def test_a_bounce_that_names_nobody_names_the_mail() -> None:
    head = "From: gateway@b.test\nContent-Type: multipart/mixed; boundary=x\n"
    text = "\n--x\n\nThe following mail could not be delivered.\n"
    bounce = free_bounce(f"{head}Subject: Mail could not be delivered\n{text}{RETURNED}")
    assert bounce is not None
    assert (bounce.recipients, bounce.original.message_id) == ((), "<1@c.test>")
    assert free_bounce(f"{head}Subject: Fwd: Mail could not be delivered\n{text}{RETURNED}") is None
    assert free_bounce(f"{head}Subject: Mail could not be delivered\n{text}--x--\n") is None


def test_a_notification_that_a_gateway_wrapped_is_read_inside() -> None:
    head = "Message-ID: <7@b.test>\nSubject: Delivery Status Notification (Failure)\n"
    wrapped = (
        f"{head}Content-Type: multipart/mixed; boundary=w\n\n--w\nContent-Type: message/rfc822\n\n"
        f"{head}{DSN}\n--w\n\nThis message has been scanned.\n--w--\n"
    )
    bounce = free_bounce(wrapped)
    assert bounce is not None
    assert [each.address for each in bounce.recipients] == ["ada@b.test", "bob@b.test"]
    assert free_bounce(wrapped.replace("<7@b.test>", "<8@b.test>", 1)) is None  # a person passed it on


@pytest.mark.parametrize(
    ("subject", "text", "found"),
    [
        (
            "Warning: delayed",
            "A mail has not yet been delivered to:\n\n  ada@b.test\n",
            [("ada@b.test", "delayed")],
        ),
        ("Delivery failure", "problems\nwith ada@b.test\nUser not known\n", [("ada@b.test", "failed")]),
        (
            "邮件发送失败",
            "邮件无法发送\n\n<ada@b.test>:\n\n<bob@b.test>:\n",
            [("ada@b.test", "failed"), ("bob@b.test", "failed")],
        ),
        (
            "Failed mail",
            "ada@b.test did not match.\n\nThis may help in finding another:\n\n  bob@b.test\n\nBye",
            [("ada@b.test", "failed")],
        ),
    ],
)
def test_bounces_in_free_text_say_who_and_whether_for_good(
    subject: str, text: str, found: list[tuple[str, str]]
) -> None:
    bounce = free_bounce(f"From: MAILER-DAEMON@b.test\nSubject: {subject}\n\n{text}")
    assert bounce is not None
    assert [(each.address, each.action) for each in bounce.recipients] == found


def test_a_mail_about_bounces_is_none() -> None:
    mail = b"From: Ada <a@b.test>\r\nSubject: holiday\r\n\r\nplease ask bob@c.test\r\n"
    assert bounce_of(read_mail(mail), "please ask bob@c.test", is_null_reverse_path=False) is None


def report_in(mail: str | bytes) -> dict[str, object] | None:
    root = read_mail(mail.encode() if isinstance(mail, str) else mail)
    return report_of(root, sort_leaves(root).attachments)


def test_reports_are_told_apart() -> None:
    complaint = report_in(
        "Content-Type: multipart/report; report-type=feedback-report; boundary=x\n\n--x\n"
        "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nOriginal-Rcpt-To: <a@b.test>\n--x--"
    )
    assert complaint is not None
    assert (complaint["kind"], complaint["originalRcptTo"]) == ("complaint", ["a@b.test"])
    assert report_in("Auto-Submitted: auto-replied\n\nx") == {
        "kind": "auto-reply",
        "autoSubmitted": "auto-replied",
    }
    assert report_in("Subject: Automatische Antwort: x\n\nx") == {"kind": "auto-reply", "autoSubmitted": None}
    assert report_in("Subject: automatic doors\n\nx") is None


def test_a_packed_tls_report_is_opened() -> None:
    report = {
        "organization-name": "o",
        "report-id": "r",
        "policies": [
            {"policy": {"policy-domain": "b.test"}, "summary": {"total-successful-session-count": 3}}
        ],
    }
    packed = base64.encodebytes(gzip.compress(json.dumps(report).encode())).decode()
    found = report_in(f"Content-Type: application/tlsrpt+gzip\nContent-Transfer-Encoding: base64\n\n{packed}")
    assert found is not None
    assert found["policies"] == [{"type": None, "domain": "b.test", "successCount": 3, "failureCount": None}]


def test_a_bomb_is_not_unpacked() -> None:
    assert unpacked(gzip.compress(b"\0" * (UNPACKED_MAX_OCTETS + 1))) == b""


def test_entities_in_a_dmarc_report_are_not_expanded() -> None:
    report = "<feedback><report_metadata><org_name>&a;</org_name></report_metadata></feedback>"
    assert report_in(f'Content-Type: text/xml\n\n<!DOCTYPE x [<!ENTITY a "aa">]>{report}') is None
    assert report_in(f"Content-Type: text/xml\n\n{report.replace('&a;', 'a')}") is not None
