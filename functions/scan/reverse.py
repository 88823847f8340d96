"""What the DNS says about the client's address and the sender's domain."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import partial

from mailchute.errors import LookupFailed
from mailchute.resolver import reverse_name_of
from mailchute.verdicts import Result, SenderDomain

from .lookups import Lookups

PTR_MAX_COUNT = 10  # looked at; as SPF does (RFC 7208, 4.6.4)


@dataclass(frozen=True)
class Reverse:
    """The result of iprev (RFC 8601, 2.7.3)."""

    result: Result
    name: str | None = None  # the client's name, when its PTR is forward-confirmed
    reason: str | None = None  # temperror: what the DNS did not say


def check_reverse(client_ip: str, lookups: Lookups) -> Reverse:
    """Return whether the client's PTR record names a host that has the client's address."""
    return lookups.recall(("iprev", client_ip), partial(_check_reverse, client_ip))


def _check_reverse(client_ip: str, lookups: Lookups) -> Reverse:
    try:
        address = ipaddress.ip_address(client_ip)
    except ValueError:
        return Reverse("none")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    kind = "A" if address.version == 4 else "AAAA"
    silence: str | None = None
    try:
        names = lookups.lookup(reverse_name_of(str(address)), "PTR").texts
    except LookupFailed as failure:
        return Reverse("temperror", reason=str(failure))
    for name in names[:PTR_MAX_COUNT]:
        try:
            found = lookups.lookup(name, kind).texts
        except LookupFailed as failure:
            silence = str(failure)
            continue
        if any(ipaddress.ip_address(text) == address for text in found):
            return Reverse("pass", name.lower())
    if silence is not None:
        return Reverse("temperror", reason=silence)
    return Reverse("fail" if names else "permerror")


def check_sender_domain(domain: str | None, lookups: Lookups) -> SenderDomain:
    """Return whether mail could be sent back to this domain (RFC 5321, 5.1; RFC 7505)."""
    if domain is None:
        return SenderDomain()
    return lookups.recall(("sender-domain", domain), partial(_check_sender_domain, domain))


def _check_sender_domain(domain: str, lookups: Lookups) -> SenderDomain:
    try:
        exchanges = lookups.lookup(domain, "MX").texts
        if exchanges:
            is_null = all(text.partition(" ")[2] in ("", ".") for text in exchanges)
            return SenderDomain(domain=domain, mx=not is_null, null=is_null)
        return SenderDomain(
            domain=domain, mx=bool(lookups.lookup(domain, "A").texts or lookups.lookup(domain, "AAAA").texts)
        )
    except LookupFailed as failure:
        return SenderDomain(domain=domain, reason=str(failure))
