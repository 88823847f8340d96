"""Names to addresses: A and AAAA together, remembered no longer than their TTL."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

import dns.exception
import dns.rdatatype
import dns.resolver
from mailchute.settings import DnsSettings

from .destination import Address
from .faults import EndpointFault

LOOKUP_S = 4.0  # for one name and type, all servers together
TTL_MAX_S = 300.0  # an endpoint that moves is found again within this, whatever its zone promised
ENTRIES_MAX_COUNT = 10_000


class Names:
    """
    Asks one resolver. Thread-safe.

    Args:
        settings: Which resolver; the system's when its host is "".
        clock: Seconds, monotonic.
    """

    def __init__(self, settings: DnsSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._resolver = dns.resolver.Resolver(configure=not settings.host)
        if settings.host:
            self._resolver.nameservers = [settings.host]
            self._resolver.port = settings.port
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, tuple[Address, ...]]] = OrderedDict()

    def addresses(self, name: str) -> tuple[Address, ...]:
        """
        Return the addresses of `name`, those of IPv4 first; () when it has none.

        Raises:
            EndpointFault: The DNS did not answer, for one type at least: half an answer hides addresses.
        """
        with self._lock:
            expires_at, addresses = self._known.get(name, (0.0, ()))
        if expires_at > self._clock():
            return addresses
        found_v4, ttl_v4_s = self._ask(name, dns.rdatatype.A)
        found_v6, ttl_v6_s = self._ask(name, dns.rdatatype.AAAA)
        addresses = found_v4 + found_v6
        if addresses:
            self._remember(name, addresses, min(ttl_v4_s, ttl_v6_s, TTL_MAX_S))
        return addresses

    def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> tuple[tuple[Address, ...], float]:
        try:
            answer = self._resolver.resolve(
                name + ".", kind, search=False, raise_on_no_answer=False, lifetime=LOOKUP_S
            )
        except dns.resolver.NXDOMAIN:
            return (), TTL_MAX_S
        except dns.exception.DNSException as error:
            raise EndpointFault(f"the DNS did not answer for {name}: {type(error).__name__}") from error
        if answer.rrset is None:
            return (), TTL_MAX_S
        return tuple(ipaddress.ip_address(record.address) for record in answer.rrset), float(answer.rrset.ttl)

    def _remember(self, name: str, addresses: tuple[Address, ...], ttl_s: float) -> None:
        if ttl_s <= 0:
            return
        with self._lock:
            self._known[name] = (self._clock() + ttl_s, addresses)
            self._known.move_to_end(name)
            if len(self._known) > ENTRIES_MAX_COUNT:
                self._known.popitem(last=False)
