"""The sender's verdict can be derived again from its evidence, by anyone, offline."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from mailchute import wire
from mailchute.verdicts import SenderVerdict

from functions.scan.derivation import derive
from tests.servers.dns import DnsServer
from tests.unit.scan.given import honest_zone, mail, message, scan, signer

CASES = {
    "by DKIM": (True, {"client_ip": "203.0.113.1"}, True),
    "by SPF": (False, {}, True),
    "by both": (True, {}, True),
    "by neither": (False, {"client_ip": "203.0.113.1"}, False),
    "of a subdomain": (True, {"mail_from": "x@bounce.example.org", "client_ip": "203.0.113.1"}, True),
}


@pytest.mark.parametrize(("is_signed", "given", "is_authentic"), CASES.values(), ids=CASES)
def test_the_evidence_leads_to_the_same_verdict(
    dns: DnsServer, *, is_signed: bool, given: dict[str, str], is_authentic: bool
) -> None:
    dns.zone.update(honest_zone("example.org"))
    content = signer("example.org").sign(mail()) if is_signed else mail()
    sender = scan(dns, content, **given).auth.sender
    again = derive(message(content, **given), sender.evidence, now=time.time())
    assert again == SenderVerdict(
        authenticated=sender.authenticated, address=sender.address, via=sender.via, domain=sender.domain
    )
    assert again.authenticated is is_authentic


def test_without_its_evidence_nothing_is_authenticated(dns: DnsServer) -> None:
    dns.zone.update(honest_zone("example.org"))
    content = signer("example.org").sign(mail())
    for item in scan(dns, content).auth.sender.evidence:
        if "_domainkey" in item.name:
            assert not derive(message(content), (), now=time.time()).authenticated


def test_another_mail_is_not_authenticated_by_it(dns: DnsServer) -> None:
    dns.zone.update(honest_zone("example.org"))
    evidence = scan(dns, signer("example.org").sign(mail())).auth.sender.evidence
    forged = message(mail(body="Pay me.\r\n"), client_ip="203.0.113.1")
    assert not derive(forged, evidence, now=time.time()).authenticated


ZONES: dict[str, dict[str, Any]] = {
    "an SPF record with macros": {
        "example.org": {"TXT": ["v=spf1 exists:%{ir}.%{l}.spf.example.org -all"]},
        "1.2.0.192.joe.spf.example.org": {"A": ["127.0.0.2"]},
    },
    "includes, a redirect and an exchange": {
        "example.org": {"TXT": ["v=spf1 include:a.example redirect=b.example"], "MX": ["10 mx.example.org"]},
        "a.example": {"TXT": ["v=spf1 ip4:198.51.100.0/24 -all"]},
        "b.example": {"TXT": ["v=spf1 mx:example.org ptr -all"]},
    },
    "too many look-ups": {"example.org": {"TXT": ["v=spf1 include:example.org -all"]}},
    "no policy": {"_dmarc.example.org": {}},
    "two policies": {"_dmarc.example.org": {"TXT": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}},
    "two keys": {"s1._domainkey.example.org": {"TXT": ["v=DKIM1; p=AAAA", signer("example.org").record()]}},
    "a record that is no ASCII": {"example.org": {"TXT": [b"v=spf1 ip4:192.0.2.1 \xff -all"]}},
    **{
        f"{trouble} for {name}": {name: trouble}
        for trouble in ("servfail", "lie", "garbage", "refused")
        for name in ("example.org", "s1._domainkey.example.org", "_dmarc.example.org")
    },
}


@pytest.mark.parametrize("changes", ZONES.values(), ids=ZONES)
@pytest.mark.parametrize("is_signed", [True, False], ids=["signed", "unsigned"])
def test_whatever_the_dns_said_the_payload_leads_to_the_same_verdict(
    dns: DnsServer, changes: dict[str, Any], *, is_signed: bool
) -> None:
    dns.zone.update(honest_zone("example.org"))
    dns.zone.update(changes)
    content = signer("example.org").sign(mail()) if is_signed else mail()
    sender = scan(dns, content).auth.sender
    shown = wire.encode_json(sender)  # as the payload shows it
    again = derive(message(content), wire.decode_json(shown, SenderVerdict).evidence, now=time.time())
    assert again == msgspec.structs.replace(sender, evidence=())
