"""The function parse as the connector and a person call it: real workers, a real S3 server."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path as FilePath
from typing import Any

import jsonschema
import msgspec
import pytest
from mailchute import wire
from mailchute.alias import AliasSnapshot, EndpointSnapshot, Rule
from mailchute.envelope import Envelope, Path
from mailchute.errors import StorageUnavailable
from mailchute.function import Call
from mailchute.mail import MailObject, fingerprint_of
from mailchute.parsed import ParseAnswer, ParseRequest
from mailchute.settings import S3Settings
from mailchute.verdicts import ScanReport, Security, Spam, Virus

from functions.parse import handler
from functions.parse.parser import Parser
from functions.parse.schema import SCHEMA_FILE, schema_text
from functions.parse.settings import Settings, WorkerSettings
from tests.servers.s3 import free_ports, s3_client

TRACE = b"Return-Path: <ada@example.org>\r\nReceived: from x by mx.test\r\n"
NO_S3 = S3Settings(endpoint="", bucket="", access_key="", secret_key="", region="us-east-1")
ALIAS = AliasSnapshot(
    account_id="acc_1",
    domain_id="dom_1",
    alias_id="als_1",
    address="support@inbox.test",
    endpoints=(EndpointSnapshot(id="end_1"),),
)


VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text()))


def settings_with(s3: S3Settings, **worker: Any) -> Settings:
    return Settings(
        worker=WorkerSettings(authserv_id="mx.inbox.test", has_storage=bool(s3.bucket), **worker),
        worker_count=1,
        s3=s3,
    )


def request_of(
    content: bytes, *, report: ScanReport | None = None, alias: AliasSnapshot = ALIAS
) -> ParseRequest:
    reverse_path, forward_path = Path("ada", "example.org"), Path("support", "inbox.test")
    return ParseRequest(
        mail=MailObject(
            id="msg_01JD5W00000000000000000000",
            envelope=Envelope(
                reverse_path=reverse_path, forward_path=forward_path, client_ip="192.0.2.1", helo="x.test"
            ),
            alias=alias,
            received_at=datetime(2026, 11, 21, 12, 0, tzinfo=UTC),
            content=TRACE + content,
            fingerprint=fingerprint_of(reverse_path, forward_path, hashlib.sha256(content).digest()),
            size_octets=len(content),
            trace_octets=len(TRACE),
        ),
        report=report or ScanReport(),
    )


def mail_with(*files: tuple[str, bytes]) -> bytes:
    mail = EmailMessage()
    mail["From"] = "Ada Lovelace <ada@example.org>"
    mail["To"] = "Support <support@inbox.test>"
    mail["Subject"] = "Grüße"
    mail["Date"] = "Sat, 21 Nov 2026 12:36:00 +0100"
    mail["Message-ID"] = "<1@example.org>"
    mail["References"] = "<root@example.org> <0@example.org>"
    mail.set_content("Hello, see https://example.org/a\n")
    mail.add_alternative('<p>Hello, <a href="https://example.org/b">example.com</a></p>', subtype="html")
    for name, octets in files:
        mail.add_attachment(octets, maintype="application", subtype="octet-stream", filename=name)
    return mail.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    parser = Parser(settings_with(NO_S3))
    parser.start()
    yield parser
    parser.stop()


@pytest.fixture
def started() -> Iterator[Callable[[Settings], Parser]]:
    parsers: list[Parser] = []

    def start(settings: Settings) -> Parser:
        parsers.append(Parser(settings))
        parsers[-1].start()
        return parsers[-1]

    yield start
    for each in parsers:
        each.stop()


def answer_of(parser: Parser, request: ParseRequest) -> tuple[ParseAnswer, dict[str, Any]]:
    answer = wire.decode(parser.parse(wire.encode(request)), ParseAnswer)
    payload = json.loads(answer.payload)
    VALIDATOR.validate(payload)  # every payload of these tests obeys the published schema
    return answer, payload


def test_a_mail_becomes_the_payload(parser: Parser) -> None:
    content = mail_with(("a.pdf", b"%PDF-1.4 x"))
    answer, payload = answer_of(parser, request_of(content))
    message = payload["message"]
    assert answer.decision == "deliver"
    assert payload["id"] == "msg_01JD5W00000000000000000000"
    assert payload["envelope"]["mailFrom"] == "ada@example.org"
    assert message["sender"] == {"name": "Ada Lovelace", "email": "ada@example.org"}
    assert message["recipient"] == {"name": "Support", "email": "support@inbox.test", "tag": None}
    assert message["subject"] == "Grüße"
    assert message["date"] == "2026-11-21T11:36:00Z" or message["date"].startswith("2026-11-21T12:36")
    assert message["messageId"] == "<1@example.org>"
    assert message["references"] == ["<root@example.org>", "<0@example.org>"]
    assert message["content"]["text"].strip() == "Hello, see https://example.org/a"
    assert message["content"]["markdown"] == "Hello, [example.com](https://example.org/b)"
    assert message["content"]["links"] == [
        {"url": "https://example.org/b", "text": "example.com", "domain": "example.org", "mismatch": True},
        {"url": "https://example.org/a", "text": "", "domain": "example.org", "mismatch": False},
    ]
    assert "htmlSafe" not in message["content"]
    (attachment,) = message["attachments"]
    assert attachment["filename"] == "a.pdf"
    assert attachment["detectedType"] == "application/pdf"
    assert attachment["content"] == "JVBERi0xLjQgeA=="
    assert attachment["sha256"] == hashlib.sha256(b"%PDF-1.4 x").hexdigest()
    assert ["Subject", "Grüße"] in message["headers"]
    assert not [name for name, _ in message["headers"] if name in ("Return-Path", "Received")]
    assert payload["thread"] == {"key": "<root@example.org>", "inReplyTo": None}
    assert payload["integrity"]["rawHash"] == "sha256:" + hashlib.sha256(content).hexdigest()
    assert answer.summary.attachments[0].filename == "a.pdf"


def test_what_an_alias_pattern_caught_stands_in_the_payload(parser: Parser) -> None:
    alias = msgspec.structs.replace(ALIAS, address="/order-(.*)/@inbox.test", captures=("4711", ""))
    _, payload = answer_of(parser, request_of(mail_with(), alias=alias))
    assert payload["message"]["recipient"]["captures"] == ["4711", ""]


def test_the_same_mail_gives_the_same_octets(parser: Parser) -> None:
    request = wire.encode(request_of(mail_with(("a", b"x" * 1000))))
    assert parser.parse(request) == parser.parse(request)


def test_a_large_attachment_is_at_a_url_that_downloads_the_same_octets(
    started: Callable[[Settings], Parser], s3_bucket: S3Settings
) -> None:
    large = os.urandom(10 * 1024 * 1024)  # more than one part of a multipart upload
    answer, payload = answer_of(
        started(settings_with(s3_bucket)),
        request_of(mail_with(("small.bin", b"s"), ("../../grün\r\n.bin", large))),
    )
    small, big = payload["message"]["attachments"]
    assert "content" in small
    assert "url" not in small
    assert "content" not in big
    assert big["status"] == "completed"
    assert answer.objects == ("msg_01JD5W00000000000000000000/1",)
    with urllib.request.urlopen(big["url"]) as response:
        assert response.read() == large
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert response.headers["Content-Disposition"].startswith('attachment; filename="')
    life = datetime.fromisoformat(big["expiresAt"]) - datetime.now(UTC)
    assert 6.9 < life.total_seconds() / 86_400 <= 7
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(big["url"].replace("Signature=", "Signature=0"))


def test_without_s3_a_large_attachment_is_inline(parser: Parser) -> None:
    _, payload = answer_of(parser, request_of(mail_with(("big.bin", b"x" * 1_000_000))))
    assert payload["message"]["attachments"][0]["size"] == 1_000_000
    assert "content" in payload["message"]["attachments"][0]


def test_without_s3_what_goes_over_the_body_limit_is_named_and_left_out(parser: Parser) -> None:
    alias = msgspec.structs.replace(ALIAS, body_limit_octets=100_000)
    _, payload = answer_of(parser, request_of(mail_with(("big.bin", b"x" * 90_000)), alias=alias))
    (attachment,) = payload["message"]["attachments"]
    assert attachment["status"] == "excluded"
    assert attachment["excludeReason"] == "no-storage"


def test_a_text_larger_than_a_post_may_be_is_cut_and_the_raw_mail_attached(
    started: Callable[[Settings], Parser], s3_bucket: S3Settings
) -> None:
    content = b"Subject: long\r\n\r\n" + "wörter und wörter\r\n".encode() * 700_000
    answer, payload = answer_of(started(settings_with(s3_bucket)), request_of(content))
    assert len(answer.payload) < ALIAS.body_limit_octets
    assert payload["security"]["limits"] == ["content-size"]
    assert payload["security"]["degraded"]
    assert payload["message"]["content"]["text"].startswith("wörter und wörter\n")
    with urllib.request.urlopen(payload["message"]["attachments"][0]["url"]) as response:
        assert response.read() == content


def test_while_s3_is_away_the_mail_waits(started: Callable[[Settings], Parser]) -> None:
    away = replace(
        NO_S3, endpoint=f"http://127.0.0.1:{free_ports(1)[0]}", bucket="b", access_key="a", secret_key="s"
    )
    parser = started(settings_with(away))
    with pytest.raises(StorageUnavailable):
        parser.parse(wire.encode(request_of(mail_with(("big.bin", b"x" * 300_000)))))
    _, payload = answer_of(parser, request_of(mail_with(("small.bin", b"x"))))
    assert payload["message"]["attachments"][0]["status"] == "completed"


def test_attachments_of_an_infected_mail_are_left_out(parser: Parser) -> None:
    report = ScanReport(security=Security(virus=Virus(engine="clamav", infected=True, names=("Eicar",))))
    _, payload = answer_of(parser, request_of(mail_with(("a.exe", b"MZ")), report=report))
    (attachment,) = payload["message"]["attachments"]
    assert attachment["excludeReason"] == "virus-detected"
    assert "content" not in attachment


SPAM = ScanReport(
    spam=Spam(is_spam=True, score=8, threshold=5, probability=0.9, engine="builtin", action="add header")
)


@pytest.mark.parametrize(
    ("rules", "decision", "tags", "notify"),
    [
        ((), "deliver", (), False),
        ((Rule(when="spam.score >= 7", then="block", notify=True),), "reject", (), True),
        ((Rule(when="spam.score >= 5", then="tag"),), "deliver", ("spam",), False),
        (
            (Rule(when='subject contains "grüße"', then="allow"), Rule(when="spam.score >= 7", then="block")),
            "deliver",
            (),
            False,
        ),
        ((Rule(when='attachments.extensions contains "exe"', then="block"),), "reject", (), False),
        (
            (Rule(when='header.references contains "root"', then="tag", tag="known"),),
            "deliver",
            ("known",),
            False,
        ),
    ],
)
def test_the_first_rule_that_holds_decides(
    parser: Parser, rules: tuple[Rule, ...], decision: str, tags: tuple[str, ...], notify: bool
) -> None:
    alias = msgspec.structs.replace(ALIAS, rules=rules)
    answer, payload = answer_of(parser, request_of(mail_with(("a.exe", b"MZ")), report=SPAM, alias=alias))
    assert (answer.decision, answer.tags, answer.notify) == (decision, tags, notify)
    assert payload["tags"] == list(tags)


def test_a_mail_over_a_limit_arrives_degraded_with_the_raw_mail_beside_it(parser: Parser) -> None:
    content = b"From: a@example.org\r\nSubject: x\r\n" + b"X-A: b\r\n" * 2_000 + b"\r\nhello\r\n"
    _, payload = answer_of(parser, request_of(content))
    assert payload["security"]["degraded"]
    assert payload["security"]["limits"] == ["header-count"]
    (raw,) = payload["message"]["attachments"]
    assert raw["contentType"] == "message/rfc822"
    assert raw["sha256"] == hashlib.sha256(content).hexdigest()
    assert payload["integrity"]["rawHash"] == "sha256:" + raw["sha256"]


def test_a_mail_that_brought_parse_down_before_is_not_read_again(parser: Parser) -> None:
    request = msgspec.structs.replace(request_of(mail_with()), degraded="crashed")
    _, payload = answer_of(parser, request)
    assert payload["security"]["limits"] == ["crashed"]
    assert payload["message"]["subject"] == "Grüße"
    assert payload["message"]["content"]["text"] == ""


def test_a_worker_that_dies_degrades_its_mail_alone(started: Callable[[Settings], Parser]) -> None:
    parser = started(settings_with(NO_S3))
    os.kill(parser.worker_pids()[0], signal.SIGKILL)
    _, degraded = answer_of(parser, request_of(mail_with()))
    _, after = answer_of(parser, request_of(mail_with()))
    assert degraded["security"]["limits"] == ["worker"]
    assert not after["security"]["degraded"]


def test_a_mail_that_takes_too_long_is_degraded_and_its_worker_replaced(
    started: Callable[[Settings], Parser],
) -> None:
    parser = started(settings_with(NO_S3, cpu_limit_s=0.2))
    slow = b"Content-Type: text/html\r\n\r\n" + b"<a href=x>y</a><p>" * 100_000
    (before,) = parser.worker_pids()
    _, degraded = answer_of(parser, request_of(slow))
    _, after = answer_of(parser, request_of(mail_with()))
    assert degraded["security"]["limits"] == ["time"]
    assert degraded["message"]["attachments"][0]["size"] == len(slow)
    assert not after["security"]["degraded"]
    assert parser.worker_pids() != [before]


def test_a_mail_that_wants_too_much_memory_is_degraded(started: Callable[[Settings], Parser]) -> None:
    parser = started(settings_with(NO_S3, memory_mib=300))
    _, payload = answer_of(parser, request_of(mail_with(("big", b"x" * 60_000_000))))
    assert payload["security"]["degraded"]
    assert payload["message"]["attachments"][0]["excludeReason"] == "no-storage"
    _, after = answer_of(parser, request_of(mail_with()))
    assert not after["security"]["degraded"]


def test_many_calls_at_once_share_few_workers(parser: Parser) -> None:
    requests = [wire.encode(request_of(mail_with((f"{number}.txt", b"x")))) for number in range(40)]
    with ThreadPoolExecutor(16) as threads:
        answers = [wire.decode(octets, ParseAnswer) for octets in threads.map(parser.parse, requests)]
    assert [a.summary.attachments[0].filename for a in answers] == [f"{number}.txt" for number in range(40)]


def test_a_mail_that_takes_too_long_costs_those_behind_it_nothing(
    started: Callable[[Settings], Parser],
) -> None:
    parser = started(settings_with(NO_S3, cpu_limit_s=0.2))
    slow = b"Content-Type: text/html\r\n\r\n" + b"<a href=x>y</a><p>" * 100_000
    mails = [slow, *(mail_with((f"{number}.txt", b"x")) for number in range(7))]
    with ThreadPoolExecutor(8) as threads:
        payloads = [
            found for _, found in threads.map(lambda mail: answer_of(parser, request_of(mail)), mails)
        ]
    assert [payload["security"]["limits"] for payload in payloads] == [["time"], *[[]] * 7]


def test_workers_that_die_one_after_the_other_are_replaced_as_often(
    started: Callable[[Settings], Parser],
) -> None:
    parser = started(settings_with(NO_S3))
    for _ in range(3):
        nursery = int(
            FilePath(f"/proc/{parser.worker_pids()[0]}/stat").read_text().rpartition(")")[2].split()[1]
        )
        os.kill(nursery, signal.SIGKILL)  # its workers die with it
        # The first may have come to a worker of the dead, and then comes degraded, or have found it gone.
        payloads = [answer_of(parser, request_of(mail_with()))[1] for _ in range(2)]
        assert not payloads[-1]["security"]["degraded"]


def test_nothing_of_a_mail_is_logged(
    started: Callable[[Settings], Parser], capfd: pytest.CaptureFixture[str]
) -> None:
    canary = "canary@secret.test"
    content = (
        f"From: {canary}\r\nSubject: =?shift_jis?b?{canary}?=\r\nTo: <<{canary}\r\nDate: {canary}\r\n"
        "Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n"
        f"DTSTART;TZID=/x/{canary}:20260101T000000\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    ).encode()
    answer_of(started(settings_with(NO_S3)), request_of(content))
    captured = capfd.readouterr()
    assert canary not in captured.out + captured.err


def test_a_mail_with_everything_obeys_the_schema(parser: Parser) -> None:
    include = EndpointSnapshot(id="end_2", include=("html_safe", "html_clean", "received"))
    alias = msgspec.structs.replace(ALIAS, endpoints=(*ALIAS.endpoints, include))
    html = "<p>x</p><img src='https://t.test/p.gif' width=1 height=1><a href='https://a.test/?utm_id=1'>a</a>"
    content = (
        "From: MAILER-DAEMON@b.test\r\nSubject: Re: failure notice\r\nAuto-Submitted: auto-replied\r\n"
        "Received: from a.test by b.test with ESMTPS id 7; Sat, 21 Nov 2026 11:36:00 +0000\r\n"
        "In-Reply-To: <1@b.test>\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        "--x\r\n\r\nada@b.test: user unknown\r\n\r\nOn Monday, Ada wrote:\r\n> hello\r\n"
        f"--x\r\nContent-Type: text/html\r\n\r\n{html}\r\n"
        "--x\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@b.test\r\nSubject: inner\r\n\r\nwithin\r\n"
        "--x\r\nContent-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\n"
        "DTSTART:20261121T100000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n--x--\r\n"
    ).encode()
    _, payload = answer_of(parser, request_of(content, alias=alias, report=SPAM))
    assert payload["bounce"]["recipients"][0]["address"] == "ada@b.test"
    assert payload["report"]["kind"] == "auto-reply"
    assert payload["reply"]["quoted"].endswith("> hello")
    assert payload["calendar"][0]["uid"] == "1"
    assert payload["thread"] == {"key": "<1@b.test>", "inReplyTo": "<1@b.test>"}
    assert "utm_id" not in payload["message"]["content"]["htmlClean"]
    assert "p.gif" not in payload["message"]["content"]["htmlClean"]
    assert "htmlSafe" in payload["message"]["content"]
    (hop,) = payload["message"]["received"]
    assert (hop["by"], hop["with"], hop["id"], hop["date"][:19]) == (
        "b.test",
        "ESMTPS",
        "7",
        "2026-11-21T11:36:00",
    )
    nested = payload["message"]["attachments"][0]
    assert nested["filename"] == "inner.eml"
    assert nested["message"]["sender"] == {"name": None, "email": "a@b.test"}
    assert nested["message"]["text"] == "within"


def test_the_published_schema_is_up_to_date() -> None:
    assert SCHEMA_FILE.read_text() == schema_text(), "run `.venv/bin/python -m functions.parse.schema`"


def test_authentication_results_in_our_name_are_left_out(parser: Parser) -> None:
    content = (
        b"Authentication-Results: mx.INBOX.test; dmarc=pass\r\n"
        b"Authentication-Results: other.test; spf=pass\r\n" + mail_with()
    )
    _, payload = answer_of(parser, request_of(content))
    values = [v for name, v in payload["message"]["headers"] if name == "Authentication-Results"]
    assert values == ["other.test; spf=pass"]


def test_a_person_gets_the_payload_itself(started: Callable[[Settings], Parser]) -> None:
    handler.start()
    try:
        answer = handler.handle(
            Call(
                body=mail_with(),
                content_type=wire.MESSAGE,
                headers={
                    "mail-envelope": '{"forward_path": "support+x@inbox.test", "client_ip": "192.0.2.7"}'
                },
            )
        )
        broken = handler.handle(
            Call(body=b"x", content_type=wire.MESSAGE, headers={"mail-envelope": '{"forward_path": "no"}'})
        )
        undecodable = handler.handle(Call(body=b"\xc1"))
    finally:
        handler.stop()
    payload = json.loads(answer.body)
    assert (answer.status, answer.content_type) == (200, wire.JSON)
    assert payload["message"]["subject"] == "Grüße"
    assert payload["envelope"]["clientIp"] == "192.0.2.7"
    assert payload["auth"]["spf"]["result"] == "none"
    assert (broken.status, undecodable.status) == (422, 422)


def test_no_part_of_a_file_name_reaches_the_key_or_breaks_the_header(
    started: Callable[[Settings], Parser], s3_bucket: S3Settings
) -> None:
    content = mail_with(("x.bin", b"y" * 300_000)).replace(b'"x.bin"', b'"a%0d%0aX-Evil: 1.bin"')
    _, payload = answer_of(started(settings_with(s3_bucket)), request_of(content))
    keys = [each["Key"] for each in s3_client(s3_bucket).list_objects_v2(Bucket=s3_bucket.bucket)["Contents"]]
    assert keys == ["msg_01JD5W00000000000000000000/0"]
    with urllib.request.urlopen(payload["message"]["attachments"][0]["url"]) as response:
        assert "X-Evil" not in response.headers


def test_workers_end_with_the_host() -> None:
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        parser = Parser(settings_with(NO_S3))
        parser.start()
        theirs.sendall(b"".join(pid.to_bytes(4) for pid in parser.worker_pids()))
        signal.pause()
    pid = int.from_bytes(ours.recv(4))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while FilePath(f"/proc/{pid}/stat").exists() and " Z " not in FilePath(f"/proc/{pid}/stat").read_text():
        os.sched_yield()
