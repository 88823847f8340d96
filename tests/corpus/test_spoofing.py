"""
The nineteen server-side ideas of Chen, Paxson and Jiang, "Composition Kills" (USENIX Security 2020).

In each the attacker owns attacker.example in full (SPF, DKIM, DMARC all his) and wants a mail to
pass for legitimate.example. None may. The mails here are written from the paper's descriptions.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from mailchute.verdicts import ScanReport

from tests.servers.dns import DnsServer
from tests.unit.scan.given import honest_zone, scan, signer

ATTACKER, LEGIT = "attacker.example", "legitimate.example"
ADMIN = f"admin@{LEGIT}"
SECOND = f"second@{ATTACKER}"
REST = (
    b"To: victim@inbox.test\r\nSubject: hello\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
    b"Message-ID: <1@attacker.example>\r\n\r\nhello\r\n"
)


@pytest.fixture
def internet(dns: DnsServer) -> DnsServer:
    dns.zone.update(honest_zone(LEGIT))
    dns.zone.update(honest_zone(ATTACKER, network="198.51.100.0/24"))
    return dns


def received(dns: DnsServer, header: str, *, is_signed: bool = True, **given: Any) -> ScanReport:
    content = header.encode("latin-1") + b"\r\n" + REST
    if is_signed:
        try:
            content = signer(ATTACKER).sign(content)
        except Exception:  # a header section that dkimpy will not sign is sent unsigned
            content = header.encode("latin-1") + b"\r\n" + REST
    given = {"client_ip": "198.51.100.7", "helo": f"mx.{ATTACKER}", "mail_from": SECOND, **given}
    return scan(dns, content, **given)


def assert_not_legitimate(report: ScanReport) -> None:
    sender, dmarc = report.auth.sender, report.auth.dmarc
    passes_for_legit = (dmarc.domain or "").endswith(LEGIT) and dmarc.result == "pass"
    assert not passes_for_legit, dmarc
    assert not (sender.authenticated and (sender.address or "").endswith(LEGIT)), sender
    assert not (sender.authenticated and report.security.from_ambiguous), sender


def word(text: str) -> str:
    """Return the text as an encoded word (RFC 2047)."""
    return f"=?utf-8?B?{b64encode(text.encode()).decode()}?="


ENVELOPES = {
    "a1: a subdomain that does not exist as MAIL FROM": {"mail_from": f"any@notexist.{LEGIT}"},
    "a2: an empty MAIL FROM that is not quite empty": {"mail_from": f"(any@{LEGIT}", "helo": ATTACKER},
    "a5: a parenthesis in MAIL FROM, to write into Authentication-Results": {
        "mail_from": f"any@{LEGIT}(.{ATTACKER}",
        "helo": ATTACKER,
    },
    "a6: a quotation mark in MAIL FROM": {"mail_from": f'any@{LEGIT}"a.{ATTACKER}', "helo": ATTACKER},
    "a7: a route in MAIL FROM": {"mail_from": f"@{LEGIT}:any@{ATTACKER}", "helo": ATTACKER},
}
FROM = {
    "a8: two From fields, ours first": f"From: <{ADMIN}>\r\nFrom: <{SECOND}>",
    "a8: two From fields, ours last": f"From: <{SECOND}>\r\nFrom: <{ADMIN}>",
    "a9: a space before the first From": f" From: <{ADMIN}>\r\nFrom: <{SECOND}>",
    "a9: a space before the second From": f"From: <{SECOND}>\r\n From: <{ADMIN}>",
    "a10: a space before the colon": f"From : <{ADMIN}>\r\nFrom: <{SECOND}>",
    "a10: a space before the colon of the second": f"From: <{SECOND}>\r\nFrom : <{ADMIN}>",
    "a11: a folded colon": f"From\r\n : <{ADMIN}>\r\nFrom: <{SECOND}>",
    "a11: a folded colon alone": f"From\r\n : <{ADMIN}>",
    "a12: From and Sender": f"From: <{ADMIN}>\r\nSender: <{SECOND}>",
    "a13: From and Resent-From": f"From: <{ADMIN}>\r\nResent-From: <{SECOND}>",
    "a14: two addresses, ours first": f"From: <{ADMIN}>, <{SECOND}>",
    "a14: two addresses, ours last": f"From: <{SECOND}>, <{ADMIN}>",
    "a15: an address in base64": f"From: {word(f'<{ADMIN}>')},<{SECOND}>",
    "a15: base64 that ends in a comma": f"From: {word(f'<{ADMIN}>,')}<{SECOND}>",
    "a16: a route in From": f"From: <@{LEGIT},@any.example:{SECOND}>",
    "a16: a route without brackets": f"From: <@{ATTACKER}:{ADMIN}>",
    "a17: a quoted pair": f"From: <{ADMIN}>\\,<{SECOND}>",
    "a18: special characters that win over others": f"From: <{ADMIN}>,<{SECOND}>(",
    "a18: an address in a comment": f"From: <{SECOND}>(<{ADMIN}>)",
    "a18: an address in quotes": f'From: "<{ADMIN}>" <{SECOND}>',
    "a19: an address as display name": f"From: {ADMIN} <{SECOND}>",
    "a19: an address as quoted display name": f'From: "{ADMIN}" <{SECOND}>',
    "a NUL in the address": f"From: <{ADMIN}\x00@{ATTACKER}>",
    "a bare CR": f"Subject: x\rFrom: <{ADMIN}>\r\nFrom: <{SECOND}>",
    "a group": f"From: legit:<{ADMIN}>,<{SECOND}>;",
    "another field's fold": f"X-Note: a\r\n From: <{ADMIN}>\r\nFrom: <{SECOND}>",
    "a line that ends the header section for some": f"From: <{SECOND}>\r\nnonsense\r\nFrom: <{ADMIN}>",
}


@pytest.mark.parametrize("envelope", ENVELOPES.values(), ids=ENVELOPES)
def test_no_envelope_passes_for_another_domain(internet: DnsServer, envelope: dict[str, str]) -> None:
    report = received(internet, f"From: <{ADMIN}>", **envelope)
    assert_not_legitimate(report)
    assert not report.auth.sender.authenticated
    assert "\r" not in report.auth.authentication_results
    assert f"header.from={LEGIT}" in report.auth.authentication_results
    assert "dmarc=pass" not in report.auth.authentication_results


@pytest.mark.parametrize("header", FROM.values(), ids=FROM)
@pytest.mark.parametrize("is_signed", [True, False], ids=["signed", "spf-only"])
def test_no_from_passes_for_another_domain(internet: DnsServer, header: str, *, is_signed: bool) -> None:
    assert_not_legitimate(received(internet, header, is_signed=is_signed))


def test_a3_a_nul_in_the_selector_finds_no_other_key(internet: DnsServer) -> None:
    content = signer(ATTACKER).sign(f"From: <{ADMIN}>\r\n".encode() + REST)
    for old, new in (
        (b"d=attacker.example", b"d=legitimate.example"),
        (b"s=s1", b"s=s1._domainkey.attacker.example\x00"),
    ):
        content = content.replace(old, new)
    report = scan(internet, content, client_ip="198.51.100.7", helo=f"mx.{ATTACKER}", mail_from=SECOND)
    assert [verdict.result for verdict in report.auth.dkim] == ["permerror"]
    assert_not_legitimate(report)


@pytest.mark.parametrize("domain", [f"{LEGIT}(.{ATTACKER}", f"{LEGIT}'a.{ATTACKER}", f'{LEGIT}"a.{ATTACKER}'])
def test_a4_a_quotation_mark_in_d_writes_nothing_into_our_results(internet: DnsServer, domain: str) -> None:
    internet.zone[f"s1._domainkey.{domain}"] = {"TXT": [signer(ATTACKER).record()]}
    content = signer(ATTACKER).sign(f"From: <{ADMIN}>\r\n".encode() + REST)
    content = content.replace(b"d=attacker.example", b"d=" + domain.encode())
    report = scan(internet, content, client_ip="198.51.100.7", helo=f"mx.{ATTACKER}", mail_from=SECOND)
    assert_not_legitimate(report)
    assert "header.d=" not in report.auth.authentication_results


def test_the_attacker_is_still_who_he_is(internet: DnsServer) -> None:
    report = received(internet, f"From: <{SECOND}>")
    assert report.auth.sender.authenticated
    assert (report.auth.sender.address, report.auth.sender.domain) == (SECOND, ATTACKER)


def test_the_legitimate_domain_passes_for_itself(internet: DnsServer) -> None:
    content = signer(LEGIT).sign(f"From: <{ADMIN}>\r\n".encode() + REST)
    report = scan(internet, content, client_ip="203.0.113.9", helo="relay.example", mail_from="")
    assert (report.auth.sender.authenticated, report.auth.sender.via) == (True, "dkim")
    assert report.auth.dmarc.result == "pass"
