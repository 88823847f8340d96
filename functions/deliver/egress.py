"""
Which addresses a POST may go to. Every address of a name is looked at, on every attempt, and the one that was
looked at is the one that is dialled: a name that changes its answer in between gains nothing (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from mailchute.public_addresses import is_public, unmapped
from mailchute.settings import Network

from .destination import Address, Destination
from .faults import EndpointFault
from .names import Resolve

_TOKEN = re.compile(r"[0-9A-Za-z_-]+")


class NoSuchHost(EndpointFault):
    """The name has no address."""


@dataclass(frozen=True, kw_only=True)
class Egress:
    """The rule for one installation."""

    resolve: Resolve
    allowed: tuple[Network, ...] = ()  # private networks opened by MAILCHUTE_ALLOW_PRIVATE
    ports: frozenset[int] = frozenset({443})
    listen: Destination | None = None  # MAILCHUTE_LISTEN_URL: our own api, where developers listen

    def addresses_of(self, destination: Destination, ends_at: float) -> tuple[Address, ...]:
        """
        Return the addresses that may be dialled, in the order the name gave them.

        Args:
            ends_at: When the attempt is over, by time.monotonic().

        Raises:
            EndpointFault: One of them may not be, or the scheme or port not there, or there is none.
        """
        found = (destination.address,) if destination.address else self._resolved(destination.host, ends_at)
        addresses = tuple(unmapped(address) for address in found)
        if self.listen is not None and _leads_below(self.listen, destination):
            return addresses
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


def _leads_below(listen: Destination, destination: Destination) -> bool:
    """Say whether this is a listener's door and nothing else of that host: one word below the path."""
    is_host = (listen.scheme, listen.host, listen.port) == (
        destination.scheme, destination.host, destination.port,
    )  # fmt: skip
    path, _, token = destination.target.rpartition("/")
    return is_host and path == listen.target.rstrip("/") and _TOKEN.fullmatch(token) is not None
