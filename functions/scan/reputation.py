"""What block lists in the DNS say about the client's address and the links' domains (RFC 5782)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import partial

from mailchute.errors import LookupFailed
from mailchute.resolver import reverse_name_of

from .checks import Check, Checks
from .lookups import Lookups

DOMAINS_MAX_COUNT = 10  # of one mail, asked of each list
_LISTED = ipaddress.ip_network("127.0.0.0/8")  # RFC 5782, 2.1
_REFUSED = ipaddress.ip_network("127.255.255.0/24")  # the list answers "you may not ask": no listing


def start_address_lists(client_ip: str, zones: Sequence[str], checks: Checks) -> list[Check[str | None]]:
    """Return one check per list; its result is the list's name when it lists the client."""
    try:
        address = ipaddress.ip_address(client_ip)
    except ValueError:
        return []
    if not address.is_global:
        return []
    reversed_name = reverse_name_of(str(address)).removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
    return [
        checks.start(f"dnsbl {zone}", partial(_listing, f"{reversed_name}.{zone}", zone), None)
        for zone in zones
    ]


def start_domain_lists(
    domains: Sequence[str], zones: Sequence[str], checks: Checks
) -> list[Check[str | None]]:
    """Return one check per list and domain; its result is the list's name when it lists the domain."""
    return [
        checks.start(f"uribl {zone}", partial(_listing, f"{domain}.{zone}", zone), None)
        for zone in zones
        for domain in domains[:DOMAINS_MAX_COUNT]
    ]


def listings_of(checks: Sequence[Check[str | None]]) -> tuple[str, ...]:
    """Return the names of the lists that list something, each once."""
    return tuple(dict.fromkeys(name for check in checks if (name := check.result()) is not None))


def _listing(name: str, zone: str, lookups: Lookups) -> str | None:
    try:
        texts = lookups.lookup(name, "A").texts
    except LookupFailed:
        return None  # a list that does not answer says nothing
    return zone if any(_is_listing(text) for text in texts) else None


def _is_listing(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return address in _LISTED and address not in _REFUSED and text != "127.0.0.1"
