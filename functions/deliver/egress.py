"""
Which addresses a POST may go to. Every address of a name is looked at, on every attempt, and the one that was
looked at is the one that is dialled: a name that changes its answer in between gains nothing (DNS rebinding).

Python's `is_global` is not enough: it calls ::127.0.0.1, 64:ff9b::7f00:1, 2002:7f00:1:: and 224.0.0.1 global.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from mailchute.settings import Network

from .destination import Address, Destination
from .faults import EndpointFault
from .names import Resolve

# Not for webhooks, whatever `is_global` says: IANA's special-purpose registries (RFC 6890), cloud services.
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


class NoSuchHost(EndpointFault):
    """The name has no address."""


@dataclass(frozen=True, kw_only=True)
class Egress:
    """The rule for one installation."""

    resolve: Resolve
    allowed: tuple[Network, ...] = ()  # private networks opened by MAILCHUTE_ALLOW_PRIVATE
    ports: frozenset[int] = frozenset({443})

    def addresses_of(self, destination: Destination, ends_at: float) -> tuple[Address, ...]:
        """
        Return the addresses that may be dialled, in the order the name gave them.

        Args:
            ends_at: When the attempt is over, by time.monotonic().

        Raises:
            EndpointFault: One of them may not be, or the scheme or port not there, or there is none.
        """
        found = (destination.address,) if destination.address else self._resolved(destination.host, ends_at)
        addresses = tuple(_unmapped(address) for address in found)
        if all(self._is_allowed(address) for address in addresses):
            return addresses  # inside, plain http and any port will do
        for address in addresses:
            if not self._is_allowed(address) and not is_public(address):
                raise EndpointFault(
                    f"{destination.host} points to {address}, which is not public; "
                    "an operator can open it with MAILCHUTE_ALLOW_PRIVATE"
                )
        if destination.scheme != "https":
            raise EndpointFault("the URL is not https; plain http goes only to private networks")
        if destination.port not in self.ports:
            raise EndpointFault(
                f"port {destination.port} is not one of MAILCHUTE_WEBHOOK_PORTS; use 443 or ask the operator"
            )
        return addresses

    def _resolved(self, name: str, ends_at: float) -> tuple[Address, ...]:
        if name == "localhost" or name.endswith(".localhost"):
            return ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1")  # RFC 6761, 6.3
        addresses = self.resolve(name, ends_at)
        if not addresses:
            raise NoSuchHost(f"{name} has no address in the DNS; check the URL and the zone")
        return addresses

    def _is_allowed(self, address: Address) -> bool:
        return any(address in network for network in self.allowed)


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


def _unmapped(address: Address) -> Address:
    """Return the IPv4 address that an IPv4-mapped one is to the kernel (RFC 4291, 2.5.5.2)."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
