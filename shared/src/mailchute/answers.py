"""Answers of the DNS, and the cache that keeps them for as long as their TTL says."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import dns.message
import dns.rcode
import dns.rdatatype
import msgspec

CACHE_MAX_OCTETS = 32 * 1024 * 1024
ENTRY_OVERHEAD_OCTETS = 400  # of an answer's objects, about
TTL_MAX_S = 86_400.0
NEGATIVE_TTL_MAX_S = 3_600.0  # RFC 2308, 5: one to three hours work well


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the DNS said to one question."""

    name: str  # asked for; lower case, without the final dot
    kind: str  # "TXT", …
    texts: tuple[str, ...] = ()  # TXT: joined, one character an octet; MX: "10 host"; else as in a zone file
    is_name: bool = True  # False: there is no such name at all (NXDOMAIN), or it can be none
    error: str | None = None  # why the DNS did not say; None when it did
    ttl_s: float = 0  # 0: not to be kept

    @property
    def octets(self) -> tuple[bytes, ...]:
        """The TXT records as the octets they are."""
        return tuple(text.encode("latin-1", "replace") for text in self.texts)


class AnswerCache:
    """Keeps answers until their TTL ends, and the least used go first when it is full."""

    def __init__(self, max_octets: int = CACHE_MAX_OCTETS) -> None:
        self._max_octets = max_octets
        self._octets = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], tuple[float, int, Answer]] = OrderedDict()

    def get(self, key: tuple[str, str], now: float) -> Answer | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                return None
            if kept[0] <= now:
                self._octets -= kept[1]
                del self._kept[key]
                return None
            self._kept.move_to_end(key)
            return kept[2]

    def put(self, key: tuple[str, str], answer: Answer, now: float) -> None:
        if answer.ttl_s <= 0:
            return
        size = ENTRY_OVERHEAD_OCTETS + len(key[0]) + sum(map(len, answer.texts))
        with self._lock:
            old = self._kept.pop(key, None)
            self._octets += size - (old[1] if old else 0)
            self._kept[key] = (now + answer.ttl_s, size, answer)
            while self._octets > self._max_octets:
                _, (_, freed, _) = self._kept.popitem(last=False)
                self._octets -= freed


def answer_of(name: str, kind: str, response: dns.message.QueryMessage) -> Answer:
    """Return what this response says to the question; records nobody asked for are not looked at."""
    try:
        chain = response.resolve_chaining()
    except dns.message.ChainTooLong:  # CNAMEs in a circle lead nowhere
        return Answer(name=name, kind=kind)
    is_name = response.rcode() != dns.rcode.NXDOMAIN
    if chain.answer is None:
        has_soa = any(rrset.rdtype == dns.rdatatype.SOA for rrset in response.authority)
        ttl_s = min(float(chain.minimum_ttl), NEGATIVE_TTL_MAX_S) if has_soa else 0  # RFC 2308, 5
        return Answer(name=name, kind=kind, is_name=is_name, ttl_s=ttl_s)
    texts = tuple(_text_of(rdata) for rdata in chain.answer)
    return Answer(name=name, kind=kind, texts=texts, ttl_s=min(float(chain.minimum_ttl), TTL_MAX_S))


def _text_of(rdata: Any) -> str:
    if rdata.rdtype in (dns.rdatatype.TXT, dns.rdatatype.SPF):
        return b"".join(rdata.strings).decode("latin-1")
    if rdata.rdtype == dns.rdatatype.MX:
        return f"{rdata.preference} {rdata.exchange.to_text(omit_final_dot=True)}"
    if rdata.rdtype in (dns.rdatatype.PTR, dns.rdatatype.CNAME, dns.rdatatype.NS):
        return str(rdata.target.to_text(omit_final_dot=True))
    return str(rdata.to_text())
