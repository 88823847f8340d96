"""The DNS resolver: cached by TTL, bounded, safe from threads; what fails says so by name."""

from __future__ import annotations

import ipaddress
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import dns.entropy
import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.reversename

from mailchute.answers import Answer, AnswerCache, answer_of
from mailchute.errors import LookupFailed
from mailchute.settings import DnsSettings

QUERY_TIMEOUT_S = 2.0  # of one query to one server
LOOKUP_TIMEOUT_S = 5.0  # of all queries for one answer
UDP_OCTETS = 1232  # DNS flag day 2020: never fragmented on the way
FAILURE_TTL_S = 5.0  # RFC 2308, 7: a dead server is not asked for every mail anew
HOSTS_FILE = Path("/etc/hosts")


@dataclass(frozen=True)
class _Server:
    host: str
    port: int


class Resolver:
    """
    Answers questions from the cache, or by asking the servers of `settings`.

    Args:
        query_timeout_s: Of one query; each server is asked twice.
        lookup_timeout_s: Of everything one answer takes.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        settings: DnsSettings,
        *,
        query_timeout_s: float = QUERY_TIMEOUT_S,
        lookup_timeout_s: float = LOOKUP_TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servers, self._hosts = _servers_of(settings), _hosts_of(settings)
        self._query_timeout_s = query_timeout_s
        self._lookup_timeout_s = lookup_timeout_s
        self._clock = clock
        self._cache = AnswerCache()
        self._lock = threading.Lock()
        self._asked: dict[tuple[str, str], Future[Answer]] = {}  # one query at a time for one question

    def cached(self, name: str, kind: str) -> Answer | None:
        """
        Return the answer when it is known already; asks nobody.

        Raises:
            LookupFailed: It is known that the servers failed a moment ago.
        """
        key = (name.lower().rstrip("."), kind)
        answer = self._cache.get(key, self._clock())
        if answer is not None and answer.error is not None:
            raise LookupFailed(key[0], kind, answer.error)
        return answer

    def lookup(self, name: str, kind: str, *, deadline: float | None = None) -> Answer:
        """
        Return what the DNS says about `name`; empty when it says there is nothing.

        Args:
            kind: "A", "AAAA", "MX", "TXT", "PTR", …
            deadline: When the answer is no longer wanted, on this resolver's clock.

        Raises:
            LookupFailed: The DNS did not say (timeout, SERVFAIL, …); never when there is no such record.
        """
        answer = self.cached(name, kind)
        if answer is None:
            answer = self._shared(name.lower().rstrip("."), kind, deadline)
        if answer.error is not None:
            raise LookupFailed(answer.name, kind, answer.error)
        return answer

    def addresses(self, name: str, *, deadline: float | None = None) -> tuple[str, ...]:
        """
        Return the IPv4 and IPv6 addresses of a host, also those of the hosts file.

        Raises:
            LookupFailed: No address is known, and the DNS did not say that there is none.
        """
        known = self._hosts.get(name.lower().rstrip("."))
        if known:
            return known
        found: list[str] = []
        failure: LookupFailed | None = None
        for kind in ("A", "AAAA"):
            try:
                found += self.lookup(name, kind, deadline=deadline).texts
            except LookupFailed as error:
                failure = error
        if failure is not None and not found:
            raise failure
        return tuple(found)

    def now(self) -> float:
        """Return this resolver's clock: what deadlines are measured on."""
        return self._clock()

    def _shared(self, name: str, kind: str, deadline: float | None) -> Answer:
        key = (name, kind)
        with self._lock:
            future = self._asked.get(key)
            is_mine = future is None
            if future is None:
                future = self._asked[key] = Future()
        if not is_mine:
            left_s = self._lookup_timeout_s if deadline is None else max(0.0, deadline - self._clock())
            try:
                return future.result(timeout=min(left_s, self._lookup_timeout_s))
            except TimeoutError:
                return Answer(name=name, kind=kind, error="timeout")
        answer = Answer(name=name, kind=kind, error="interrupted")
        try:
            answer = self._ask(name, kind, deadline)
            self._cache.put(key, answer, self._clock())
        finally:
            with self._lock:
                del self._asked[key]
            future.set_result(answer)
        return answer

    def _ask(self, name: str, kind: str, deadline: float | None) -> Answer:
        try:
            question = dns.name.from_text(name, idna_codec=dns.name.IDNA_2008_Practical)
            query = dns.message.make_query(question, kind, use_edns=0, payload=UDP_OCTETS)
        except (dns.exception.DNSException, UnicodeError, ValueError):
            return Answer(name=name, kind=kind, is_name=False)  # no name at all: nobody needs to be asked
        ends_at = self._clock() + self._lookup_timeout_s
        if deadline is not None:
            ends_at = min(ends_at, deadline)
        error, is_cut_short = "no server", False
        for server in random.sample(self._servers, len(self._servers)) * 2:
            left_s = ends_at - self._clock()
            if left_s <= 0:
                error, is_cut_short = "timeout", deadline is not None
                break
            query.id = dns.entropy.random_16()  # a new one each time: it is what makes forging hard
            try:
                response, _ = dns.query.udp_with_fallback(
                    query,
                    server.host,
                    port=server.port,
                    timeout=min(self._query_timeout_s, left_s),
                    ignore_unexpected=True,
                    ignore_errors=True,
                )
            except dns.exception.Timeout:
                error = "timeout"
                continue
            except (dns.exception.DNSException, OSError, EOFError) as failure:
                error = type(failure).__name__
                continue
            assert isinstance(response, dns.message.QueryMessage)
            error = dns.rcode.to_text(response.rcode()).lower()
            if response.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                try:
                    return answer_of(name, kind, response)
                except dns.exception.DNSException as failure:  # a chain of CNAMEs that does not end
                    error = type(failure).__name__
        return Answer(name=name, kind=kind, error=error, ttl_s=0 if is_cut_short else FAILURE_TTL_S)


def reverse_name_of(address: str) -> str:
    """Return the name under which the PTR record of this IP address stands (RFC 1035, 3.5)."""
    return dns.reversename.from_address(address).to_text(omit_final_dot=True)


def _servers_of(settings: DnsSettings) -> tuple[_Server, ...]:
    if settings.host:
        return (_Server(settings.host, settings.port),)
    try:
        system = dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        return ()
    return tuple(_Server(str(host), 53) for host in system.nameservers)


def _hosts_of(settings: DnsSettings) -> Mapping[str, tuple[str, ...]]:
    """Return the hosts file, where the system's own resolver is in use, and localhost (RFC 6761, 6.3)."""
    hosts: dict[str, tuple[str, ...]] = {}
    lines = HOSTS_FILE.read_text().splitlines() if not settings.host and HOSTS_FILE.is_file() else []
    for line in lines:
        address, *names = line.partition("#")[0].split() or [""]
        try:
            ipaddress.ip_address(address)
        except ValueError:
            continue
        for name in names:
            hosts[name.lower()] = (*hosts.get(name.lower(), ()), address)
    return {"localhost": ("127.0.0.1", "::1"), **hosts}
