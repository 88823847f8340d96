"""The sender's verdict can be derived again from its evidence, by anyone, offline."""

from __future__ import annotations

import time

import pytest
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
