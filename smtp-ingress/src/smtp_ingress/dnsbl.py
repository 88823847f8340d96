"""DNS lists of clients (RFC 5782): asked early, waited for only while they are known to live."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from mailchute.errors import MailchuteError
from mailchute.eventlog import EventLog

WAIT_S = 1.0  # for all lists, from the first RCPT on; they were asked when the client connected
LOOKUP_S = 3.0
THREADS = 8
PROBED_EVERY_S = 60.0
REASON_MAX_CHARACTERS = 300  # a reply line has 512 octets (RFC 5321, 4.5.3.1.5)
LISTED_TEST, UNLISTED_TEST = "127.0.0.2", "127.0.0.1"  # RFC 5782, 5
_ANSWERS = ipaddress.ip_network("127.0.0.0/8")  # RFC 5782, 2.1: anything else is no listing
_ERRORS = ipaddress.ip_network("127.255.255.0/24")  # "your resolver may not ask us" and the like

Answer = TypeVar("Answer")


class Texts(Protocol):
    """An answer of the DNS."""

    @property
    def texts(self) -> tuple[str, ...]: ...


class Resolver(Protocol):
    """mailchute.resolver.Resolver, as far as it is used here."""

    def lookup(self, name: str, kind: str, *, deadline: float | None = None) -> Texts: ...
    def now(self) -> float: ...


@dataclass(frozen=True)
class DnsList:
    """One list, and what it is heeded for."""

    zone: str
    action: Literal["refuse", "score"]


@dataclass(frozen=True)
class Listing:
    """A list that names the client."""

    by: DnsList
    reason: str = ""  # where to look it up, in the list's own words (RFC 5782, 2.1); "", it says none


class DnsLists:
    """
    The lists an operator names.

    A list is heeded only while its own test entries answer as RFC 5782, 5 says: one that is dead, that lists
    everyone, or that refuses our resolver is left out until it answers again.
    """

    def __init__(
        self, lists: tuple[DnsList, ...], make_resolver: Callable[[], Resolver], *, log: EventLog
    ) -> None:
        self._lists = lists
        self._log = log
        self._alive: set[str] = set()
        self._resolver = make_resolver() if lists else None
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="dnsbl") if lists else None

    def ask(self, client_ip: str) -> asyncio.Task[tuple[Listing, ...]] | None:
        """Begin to ask about a client; None when there is nobody to ask."""
        alive = [each for each in self._lists if each.zone in self._alive]
        return asyncio.ensure_future(self._listings(alive, client_ip)) if alive else None

    async def probe(self) -> None:
        """Find out which lists live."""
        for each in self._lists:
            try:
                listed, unlisted = await asyncio.gather(
                    self._has(each, LISTED_TEST), self._has(each, UNLISTED_TEST)
                )
                is_alive = listed and not unlisted
            except MailchuteError:
                is_alive = False
            if is_alive != (each.zone in self._alive):
                self._log.warning(
                    "dns-list", reason=f"{each.zone} {'answers' if is_alive else 'is left out'}"
                )
            (self._alive.add if is_alive else self._alive.discard)(each.zone)

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _listings(self, lists: list[DnsList], client_ip: str) -> tuple[Listing, ...]:
        answers = await asyncio.gather(
            *(self._in_thread(self._listing, each, client_ip) for each in lists), return_exceptions=True
        )
        return tuple(answer for answer in answers if isinstance(answer, Listing))

    async def _has(self, each: DnsList, client_ip: str) -> bool:
        return any(map(_is_listing, await self._in_thread(self._texts, each, client_ip, "A")))

    def _listing(self, by: DnsList, client_ip: str) -> Listing | None:
        if not any(map(_is_listing, self._texts(by, client_ip, "A"))):
            return None
        if by.action != "refuse":
            return Listing(by)
        try:
            return Listing(by, _sayable(" ".join(self._texts(by, client_ip, "TXT")[:1])))
        except MailchuteError:
            return Listing(by)

    def _texts(self, by: DnsList, client_ip: str, kind: str) -> tuple[str, ...]:
        resolver = self._resolver
        assert resolver is not None
        name = listed_name(client_ip, by.zone)
        return resolver.lookup(name, kind, deadline=resolver.now() + LOOKUP_S).texts

    async def _in_thread(self, ask: Callable[..., Answer], *args: object) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._threads, ask, *args)


async def heed(asked: asyncio.Task[tuple[Listing, ...]] | None) -> tuple[Listing, ...]:
    """Return the lists that name the client, as far as it is known in time."""
    if asked is None:
        return ()
    done, _ = await asyncio.wait({asked}, timeout=WAIT_S)
    return asked.result() if done and asked.exception() is None else ()


def listed_name(client_ip: str, zone: str) -> str:
    """Return the name to ask for: octets or, for IPv6, nibbles in reverse (RFC 5782, 2.1 and 2.4)."""
    pointer = ipaddress.ip_address(client_ip).reverse_pointer
    return f"{pointer.removesuffix('.in-addr.arpa').removesuffix('.ip6.arpa')}.{zone}"


def lists_of(text: str) -> tuple[DnsList, ...]:
    """
    Read "zen.example=refuse,other.example=score"; a bare name only scores.

    Raises:
        ValueError: An entry is neither.
    """
    found = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        zone, _, action = entry.partition("=")
        if action not in ("refuse", "score", "") or not zone:
            raise ValueError(entry)
        found.append(DnsList(zone.strip(".").lower(), "refuse" if action == "refuse" else "score"))
    return tuple(found)


def _is_listing(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return address in _ANSWERS and address not in _ERRORS


def _sayable(text: str) -> str:
    """Return what fits on a reply line: the list's owner is a stranger, too."""
    return " ".join(re.sub(r"[^ -~]", " ", text).split())[:REASON_MAX_CHARACTERS]
