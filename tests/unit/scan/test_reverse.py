"""The client's name (RFC 8601, 2.7.3), and whether the sender's domain takes mail (RFC 5321, 5.1; 7505)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.servers.dns import DnsServer
from tests.unit.scan.given import mail, scan

V4, V4_NAME = "192.0.2.7", "7.2.0.192.in-addr.arpa"
V6, V6_NAME = "2001:db8::7", ".".join("7000000000000000000000008bd01002") + ".ip6.arpa"
NAME = "mx.sender.example"
BANK = "bank.example"
MANY = [f"n{number}.example" for number in range(10)]

IPREV: dict[str, tuple[str, dict[str, Any], str, str | None]] = {
    "a name that leads back": (V4, {V4_NAME: {"PTR": [NAME]}, NAME: {"A": [V4]}}, "pass", NAME),
    "… in capitals": (V4, {V4_NAME: {"PTR": [NAME.upper()]}, NAME: {"A": [V4]}}, "pass", NAME),
    "… of several addresses": (V4, {V4_NAME: {"PTR": [NAME]}, NAME: {"A": ["192.0.2.1", V4]}}, "pass", NAME),
    "… by IPv6": (V6, {V6_NAME: {"PTR": [NAME]}, NAME: {"AAAA": [V6]}}, "pass", NAME),
    "IPv4 in IPv6": (f"::ffff:{V4}", {V4_NAME: {"PTR": [NAME]}, NAME: {"A": [V4]}}, "pass", NAME),
    "a name that leads elsewhere": (V4, {V4_NAME: {"PTR": [NAME]}, NAME: {"A": ["192.0.2.1"]}}, "fail", None),
    "a name that leads nowhere": (V4, {V4_NAME: {"PTR": [NAME]}}, "fail", None),
    "a bank's name": (V4, {V4_NAME: {"PTR": [BANK]}, BANK: {"A": ["192.0.2.1"]}}, "fail", None),
    "an address of the other family": (V4, {V4_NAME: {"PTR": [NAME]}, NAME: {"AAAA": [V6]}}, "fail", None),
    "the eleventh name": (V4, {V4_NAME: {"PTR": [*MANY, NAME]}, NAME: {"A": [V4]}}, "fail", None),
    "no name": (V4, {"0.192.in-addr.arpa": {}}, "permerror", None),
    "a DNS that fails for the address": (V4, {V4_NAME: "servfail"}, "temperror", None),
    "a DNS that fails for the name": (V4, {V4_NAME: {"PTR": [NAME]}, NAME: "servfail"}, "temperror", None),
    "a DNS that lies": (V4, {V4_NAME: {"PTR": [NAME]}, NAME: "lie"}, "temperror", None),
    "an address that is none": ("", {}, "none", None),
}  # fmt: skip


@pytest.mark.parametrize(("client_ip", "zone", "result", "name"), IPREV.values(), ids=IPREV)
def test_a_client_has_the_name_that_leads_back_to_it(
    dns: DnsServer, client_ip: str, zone: dict[str, Any], result: str, name: str | None
) -> None:
    dns.zone.update(zone)
    report = scan(dns, mail(), client_ip=client_ip)
    assert (report.auth.iprev, report.ptr) == (result, name)
    asked = report.auth.iprev_reason
    assert (asked is not None) == (result == "temperror")
    assert asked is None or V4_NAME in asked or NAME in asked


DOMAIN = "sender.example"
TAKES_MAIL: dict[str, tuple[Any, bool | None, bool]] = {
    "an exchange": ({"MX": ["10 mx.example"]}, True, False),
    "no exchange but an address": ({"A": ["192.0.2.1"]}, True, False),
    "no exchange but an IPv6 address": ({"AAAA": ["2001:db8::1"]}, True, False),
    "null MX": ({"MX": ["0 ."], "A": ["192.0.2.1"]}, False, True),
    "null MX beside another": ({"MX": ["0 .", "10 mx.example"]}, True, False),
    "nothing": ({"TXT": ["v=spf1 -all"]}, False, False),
    "no such name": (None, False, False),
    "a DNS that fails": ("servfail", None, False),
    "a DNS that fails for the address": ({"A": "servfail"}, None, False),
    "a DNS that is silent": ("timeout", None, False),
    "a DNS that lies": ("lie", None, False),
    "a DNS that answers garbage": ("garbage", None, False),
}


@pytest.mark.parametrize(("records", "mx", "null"), TAKES_MAIL.values(), ids=TAKES_MAIL)
def test_a_sender_is_known_to_take_mail_or_not(
    dns: DnsServer, records: Any, *, mx: bool | None, null: bool
) -> None:
    if records is not None:
        dns.zone[DOMAIN] = records
    found = scan(dns, mail(sender=f"<joe@{DOMAIN}>")).auth.sender_domain
    assert (found.domain, found.mx, found.null) == (DOMAIN, mx, null)
    assert (DOMAIN in (found.reason or "")) == (mx is None)


def test_where_there_is_no_one_author_the_reverse_path_is_asked_about(dns: DnsServer) -> None:
    dns.zone["back.example"] = {"MX": ["10 mx.example"]}
    two = mail(sender="a@one.example, b@two.example")
    assert scan(dns, two, mail_from="x@back.example").auth.sender_domain.domain == "back.example"
    nobody = scan(dns, two, mail_from="").auth.sender_domain
    assert (nobody.domain, nobody.mx, nobody.null) == (None, None, False)
