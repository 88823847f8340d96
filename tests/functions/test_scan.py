"""scan from call to answer: real DNS queries, real signatures, one report."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mailchute import wire
from mailchute.alias import AliasSnapshot, EndpointSnapshot
from mailchute.envelope import Envelope, Path
from mailchute.function import Call
from mailchute.mail import ContentRef, MailObject
from mailchute.verdicts import ScanReport

from functions.scan import handler
from functions.scan.scan import Scanner
from tests.servers.dns import DnsServer
from tests.unit.scan.given import honest_zone, mail, message, scan, settings_for, signer

HAM = (
    b"From: Joe <joe@example.org>\r\nTo: support@inbox.test\r\nSubject: Question about the invoice\r\n"
    b"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\n"
    b"Hello,\r\n\r\ncould you send me the invoice for  October?\r\n\r\nJoe\r\n\r\n"
)
SPAM = (
    b'From: "Winner" <win@example.org>\r\nSubject: YOU WON 1,000,000 DOLLARS!!!\r\n'
    b"Content-Type: text/html\r\n\r\n<html>Dear beneficiary, act now and click here to claim your"
    b" 1,000,000 US dollars. Work from home, risk-free! To be removed reply.</html>\r\n"
)
GOOD = {"client_ip": "192.0.2.1", "helo": "mx.example.org", "reverse_path": "joe@example.org"}

Post = Callable[..., Any]


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def signed(key: rsa.RSAPrivateKey) -> bytes:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    signature: bytes = dkim.sign(HAM, b"s1", b"example.org", pem)
    return signature + HAM


@pytest.fixture
def scanning(dns: DnsServer, key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch) -> Iterator[DnsServer]:
    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    dns.zone.update(
        {
            "example.org": {
                "TXT": ["v=spf1 ip4:192.0.2.0/24 -all"],
                "MX": ["10 mx.example.org"],
                "A": ["192.0.2.1"],
            },
            "mx.example.org": {"A": ["192.0.2.1"], "TXT": ["v=spf1 a -all"]},
            "s1._domainkey.example.org": {"TXT": ["v=DKIM1; k=rsa; p=" + base64.b64encode(spki).decode()]},
            "_dmarc.example.org": {"TXT": ["v=DMARC1; p=reject"]},
            "1.2.0.192.in-addr.arpa": {"PTR": ["mx.example.org"]},
        }
    )
    handler.start({"MAILCHUTE_DNS": dns.address, "MAILCHUTE_HOSTNAME": "mx.us.example"})
    yield dns
    handler.stop()


def post(content: bytes, **envelope: str) -> dict[str, Any]:
    call = Call(body=content, content_type=wire.MESSAGE, headers={"mail-envelope": json.dumps(envelope)})
    answer = handler.handle(call)
    assert (answer.status, answer.content_type) == (200, wire.JSON), answer.body
    report: dict[str, Any] = json.loads(answer.body)
    return report


@pytest.mark.usefixtures("scanning")
def test_an_honest_mail_is_authenticated_and_no_spam(signed: bytes) -> None:
    report = post(signed, **GOOD)
    auth, sender = report["auth"], report["auth"]["sender"]
    assert (sender["authenticated"], sender["address"]) == (True, "joe@example.org")
    assert (sender["via"], sender["domain"]) == ("dkim", "example.org")
    assert (auth["spf"]["result"], auth["spf"]["heloResult"]) == ("pass", "pass")
    assert [(s["result"], s["aligned"]) for s in auth["dkim"]] == [("pass", True)]
    assert (auth["dmarc"]["result"], auth["dmarc"]["policy"]) == ("pass", "reject")
    assert (auth["iprev"], report["ptr"]) == ("pass", "mx.example.org")
    assert auth["senderDomain"] == {"domain": "example.org", "mx": True, "null": False, "reason": None}
    assert auth["authenticationResults"].startswith("mx.us.example; spf=pass smtp.mailfrom=joe@example.org")
    assert not report["spam"]["isSpam"]
    assert report["spam"]["score"] < 5.0


@pytest.mark.usefixtures("scanning")
def test_a_plain_spam_lies_on_the_other_side_of_the_threshold() -> None:
    report = post(SPAM, client_ip="198.51.100.7", helo="bad", reverse_path="joe@example.org")
    assert report["auth"]["dmarc"]["result"] == "fail"
    assert report["spam"]["isSpam"]
    assert report["spam"]["probability"] > 0.5
    assert not post(HAM)["spam"]["isSpam"]


@pytest.mark.usefixtures("scanning")
def test_our_own_trace_fields_are_not_looked_at(signed: bytes) -> None:
    trace = b"Received: from x by mx.us.example; Sat, 21 Nov 2026 10:00:00 +0000\r\n"
    report = wire.decode(
        handler.handle(Call(body=wire.encode(mail_of(trace + signed, len(trace))))).body, ScanReport
    )
    assert [verdict.result for verdict in report.auth.dkim] == ["pass"]


@pytest.mark.usefixtures("scanning")
def test_a_silent_dns_is_a_temperror_that_names_what_was_asked(scanning: DnsServer, signed: bytes) -> None:
    scanning.zone["s1._domainkey.example.org"] = "servfail"
    scanning.zone["example.org"] = {"TXT": "servfail"}
    auth = post(signed, **GOOD)["auth"]
    assert auth["spf"]["result"] == "temperror"
    assert "example.org" in auth["spf"]["reason"]
    assert auth["dkim"][0]["result"] == "temperror"
    assert "s1._domainkey.example.org" in auth["dkim"][0]["reason"]
    assert auth["dmarc"]["result"] == "temperror"
    assert not auth["sender"]["authenticated"]


def test_a_reference_is_refused_for_good() -> None:
    ref = ContentRef(bucket="content", name="x", size_octets=1, sha256="0" * 64)
    assert handler.handle(Call(body=wire.encode(mail_of(ref, 0)))).status == 422


@pytest.mark.parametrize("envelope", ["{", '{"client_ip": "nonsense"}', '{"reverse_path": "nonsense"}', "[]"])
def test_an_envelope_that_is_none_is_refused(envelope: str) -> None:
    call = Call(body=HAM, content_type=wire.MESSAGE, headers={"mail-envelope": envelope})
    assert handler.handle(call).status == 422


def mail_of(content: bytes | ContentRef, trace_octets: int) -> MailObject:
    return MailObject(
        id="msg_1",
        envelope=Envelope(
            reverse_path=Path("joe", "example.org"),
            forward_path=Path("support", "inbox.test"),
            client_ip="192.0.2.1",
            helo="mx.example.org",
        ),
        alias=AliasSnapshot(
            account_id="acc_1",
            domain_id="dom_1",
            alias_id="als_1",
            address="support@inbox.test",
            endpoints=(EndpointSnapshot(id="end_1"),),
        ),
        received_at=datetime(2026, 11, 21, tzinfo=UTC),
        content=content,
        fingerprint="f" * 64,
        size_octets=1,
        trace_octets=trace_octets,
    )


def test_with_a_dns_that_never_answers_it_answers_by_the_deadline(dns: DnsServer, signed: bytes) -> None:
    for name in ("example.org", "s1._domainkey.example.org", "_dmarc.example.org", "mx.example.org"):
        dns.zone[name] = "timeout"
    dns.zone["1.2.0.192.in-addr.arpa"] = "timeout"
    report = scan(dns, signed, settings={"deadline_s": 0.7})
    auth = report.auth
    assert (auth.spf.result, auth.spf.helo_result, auth.iprev) == ("temperror",) * 3
    assert [verdict.result for verdict in auth.dkim] == ["temperror"]
    assert auth.dmarc.result == "temperror"
    assert "TXT example.org" in (auth.spf.reason or "")
    assert "TXT s1._domainkey.example.org" in (auth.dkim[0].reason or "")
    assert "TXT _dmarc.example.org" in (auth.dmarc.reason or "")
    assert auth.sender_domain.mx is None
    assert "MX example.org" in (auth.sender_domain.reason or "")
    assert "192.0.2" in (auth.iprev_reason or "").replace("1.2.0.192", "192.0.2")
    assert "TXT mx.example.org" in (auth.spf.helo_reason or "")
    assert not auth.sender.authenticated
    assert report.spam is not None


@pytest.mark.parametrize("trouble", ["servfail", "refused", "garbage", "lie", "huge"])
def test_no_dns_makes_scan_raise_or_believe(dns: DnsServer, signed: bytes, trouble: str) -> None:
    for name in ("example.org", "s1._domainkey.example.org", "_dmarc.example.org", "mx.example.org"):
        dns.zone[name] = trouble  # type: ignore[assignment]
    dns.zone["1.2.0.192.in-addr.arpa"] = trouble  # type: ignore[assignment]
    report = scan(dns, signed)
    assert not report.auth.sender.authenticated
    assert report.auth.spf.result in ("temperror", "none")
    assert report.auth.dmarc.result in ("temperror", "none")


HOSTILE = {
    "empty": b"",
    "one line": b"hello",
    "only line ends": b"\r\n" * 10_000,
    "NULs": b"\0" * 10_000,
    "no body": b"From: a@example.org\r\n",
    "every octet": bytes(range(256)) * 50,
    "many fields": b"X: y\r\n" * 100_000 + b"From: a@example.org\r\n\r\nx",
    "one long field": b"X: " + b"y" * 3_000_000 + b"\r\nFrom: a@example.org\r\n\r\nx",
    "many folds": b"From: a\r\n" + b" b\r\n" * 300_000 + b"\r\nx",
    "many From": b"From: a@example.org\r\n" * 50_000 + b"\r\nx",
    "many signatures": b"DKIM-Signature: v=1; d=example.org; s=s1\r\n" * 3_000
    + b"From: a@example.org\r\n\r\nx",
    "white space in a signature": b"DKIM-Signature: v=1; b="
    + b"\r\n " * 5_000
    + b"\r\nFrom: a@example.org\r\n\r\nx",
    "a chain of seals": b"".join(
        b"ARC-Seal: i=%d; a=rsa-sha256; cv=pass; d=example.org; s=s1; b=AAAA\r\n" % i for i in range(1, 2_000)
    )
    + b"From: a@example.org\r\n\r\nx",
    "a seal that trips dkimpy": b"ARC-Seal:i=1;cv=none\r\nARC-Message-Signature:i=1;\r\n"
    b"ARC-Authentication-Results:i=1;x\r\nFrom: a@example.org\r\n\r\nx",
    "nested parts": b"From: a@example.org\r\n"
    + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(3_000)
    ),
    "many parts": b"From: a@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"--b\r\n\r\n" * 200_000,
    "html": b"From: a@example.org\r\nContent-Type: text/html\r\n\r\n" + b"<a href=" * 100_000,
    "links": b"From: a@example.org\r\n\r\n" + b"http://" * 100_000,
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 20_000 + b"\r\nFrom: a@example.org\r\n\r\nx",
    "white space": b"From: a@example.org\r\n\r\n" + b" \t" * 2_000_000,
    "a strange charset": b"From: a@example.org\r\nContent-Type: text/plain; charset=idna\r\n\r\n\\u0041",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_no_mail_makes_scan_raise_or_hang(dns: DnsServer, content: bytes) -> None:
    dns.zone["example.org"] = {"TXT": ["v=spf1 -all"]}
    report = scan(dns, content, helo="\0\x7f", mail_from="a@example.org")
    assert not report.auth.sender.authenticated
    assert report.spam is not None


@given(st.binary(max_size=2_000))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_octets_are_scanned(dns: DnsServer, octets: bytes) -> None:
    assert not scan(dns, octets).auth.sender.authenticated


def test_a_mail_whose_names_are_all_known_needs_no_other_thread(dns: DnsServer) -> None:
    """A hop costs more CPU than most checks."""
    dns.zone.update(honest_zone("example.org"))
    dns.zone["1.2.0.192.in-addr.arpa"] = {"PTR": ["mx.example.org"]}
    scanner = Scanner(settings_for(dns))
    given = message(signer("example.org").sign(mail()))
    cold = scanner.scan(given, spam_enabled=True, threshold=5.0)
    asked_count = dns.query_count
    scanner.close()  # from here on, to hand a check to a thread raises
    warm = scanner.scan(given, spam_enabled=True, threshold=5.0)
    assert warm.auth.sender.authenticated
    assert warm.auth == cold.auth
    assert dns.query_count == asked_count
