"""Names to addresses for one attempt: the shared resolver's answer, or a line for the endpoint's owner."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable

from mailchute.errors import LookupFailed
from mailchute.resolver import Resolver

from .destination import Address
from .faults import EndpointFault

Resolve = Callable[[str, float], tuple[Address, ...]]


def resolve_by(resolver: Resolver) -> Resolve:
    """
    Return a function of a name and of when the attempt is over (monotonic seconds) that gives the
    name's addresses, () when it has none, and raises EndpointFault when the DNS did not say.
    """

    def resolve(name: str, ends_at: float) -> tuple[Address, ...]:
        try:
            found = resolver.addresses(name, deadline=ends_at)
        except LookupFailed as error:
            raise EndpointFault(f"the DNS did not answer for {name}; check its zone's servers") from error
        return tuple(_address(text) for text in found)

    return resolve


@functools.lru_cache(maxsize=10_000)
def _address(text: str) -> Address:
    return ipaddress.ip_address(text)
