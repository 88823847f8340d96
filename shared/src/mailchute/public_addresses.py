"""
Which addresses the internet may be reached at, and nobody inside: where what strangers name may lead.

Python's `is_global` is not enough: it calls ::127.0.0.1, 64:ff9b::7f00:1, 2002:7f00:1:: and 224.0.0.1 global.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from mailchute.settings import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Not for us, whatever `is_global` says: IANA's special-purpose registries (RFC 6890), cloud services.
FORBIDDEN_IPV4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # "this network"; Linux dials itself
        "10.0.0.0/8",
        "100.64.0.0/10",  # RFC 6598; 100.100.100.200 is a metadata service
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's WireServer: a public number, an internal service
        "169.254.0.0/16",  # RFC 3927; 169.254.169.254 is the metadata service
        "172.16.0.0/12",
        "192.0.0.0/24",  # RFC 6890; 192.0.0.192 is a metadata service
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "192.168.0.0/16",
        "198.18.0.0/15",  # RFC 2544
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # RFC 4291, 2.4: all that IANA gives out
FORBIDDEN_IPV6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocols: Teredo, ORCHID, benchmarking
        "2001:db8::/32",
        "2002::/16",  # 6to4 (RFC 7526 ended it): may stand for any IPv4 address
        "3fff::/20",  # RFC 9637
    )
)
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are the IPv4 address that is meant


def is_public(address: Address) -> bool:
    """Return whether anyone on the internet may be reached there, and nobody inside."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64:
            return is_public(ipaddress.IPv4Address(address.packed[-4:]))
        return (
            address in GLOBAL_UNICAST
            and address.is_global
            and not any(address in network for network in FORBIDDEN_IPV6)
        )
    return address.is_global and not any(address in network for network in FORBIDDEN_IPV4)


def unmapped(address: Address) -> Address:
    """Return the IPv4 address that an IPv4-mapped one is to the kernel (RFC 4291, 2.5.5.2)."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def may_be_dialled(address: Address, allowed: Iterable[Network]) -> bool:
    """Return whether it is public, or in a network that MAILCHUTE_ALLOW_PRIVATE opens."""
    plain = unmapped(address)
    return is_public(plain) or any(plain in network for network in allowed)
