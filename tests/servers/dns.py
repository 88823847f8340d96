"""
A DNS server whose zone is a dict: UDP and TCP on one free loopback port, in threads of the test.

    dns.zone["example.org"] = {"TXT": ["v=spf1 -all"], "MX": ["10 mx.example.org"], "TTL": 0}
    dns.zone["*.example.org"] = {"A": ["192.0.2.1"]}
    dns.zone["slow.example"] = "timeout"            # the whole name, or {"TXT": "servfail"} one type

A TXT record is one str, bytes, or a tuple of character-strings; what is too long is split.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import pytest
from dnslib import AAAA, CLASS, CNAME, MX, NS, PTR, QTYPE, RCODE, RR, SOA, TXT, A, DNSHeader, DNSRecord

Trouble = Literal[
    "timeout",  # no answer at all
    "servfail",
    "refused",
    "garbage",  # octets that are no DNS message
    "lie",  # an answer to another question, by another id, with records nobody asked for
    "huge",  # 60 KB of TXT
]
Records = Mapping[str, Any]  # type → texts, or a Trouble; "TTL" → seconds

TROUBLES = ("timeout", "servfail", "refused", "garbage", "lie", "huge")
DEFAULT_TTL_S = 300
PLAIN_UDP_OCTETS = 512  # RFC 1035, 4.2.1


class DnsServer:
    """Answers from `zone`, which a test may change at any time, and counts what it was asked."""

    def __init__(self, zone: Mapping[str, Records | Trouble] | None = None) -> None:
        self.zone: dict[str, Records | Trouble] = dict(zone or {})
        self.queries: Counter[tuple[str, str]] = Counter()  # (name, type), over UDP and TCP
        self.negative_ttl_s = DEFAULT_TTL_S
        self.host = "127.0.0.1"
        self._tcp, self._udp = _bind_both(self.host, self)
        self.port: int = self._tcp.server_address[1]
        self._threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
            for server in (self._tcp, self._udp)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def address(self) -> str:
        """What MAILCHUTE_DNS takes."""
        return f"{self.host}:{self.port}"

    @property
    def query_count(self) -> int:
        return sum(self.queries.values())

    def stop(self) -> None:
        for server in (self._tcp, self._udp):
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()

    def reply(self, octets: bytes, *, is_udp: bool) -> bytes | None:
        """Return the answer to one query, or None to stay silent."""
        query = DNSRecord.parse(octets)
        name = b".".join(query.q.qname.label).decode("latin-1").lower()
        kind = QTYPE[query.q.qtype]
        self.queries[name, kind] += 1
        trouble = self._trouble(name, kind)
        if trouble in ("timeout", "garbage"):
            return None if trouble == "timeout" else b"\x00garbage"
        if trouble == "lie":
            return _lie(query)
        answer = query.reply(ra=1, aa=0)
        if trouble in ("servfail", "refused"):
            answer.header.rcode = getattr(RCODE, trouble.upper())
        elif trouble == "huge":
            _add(answer, name, "TXT", ["x" * 250] * 230, DEFAULT_TTL_S)
        else:
            self._answer(answer, name, kind)
        packed: bytes = answer.pack()
        if is_udp and len(packed) > _udp_limit_octets(query):
            short = query.reply(ra=1, aa=0)
            short.header.tc = 1  # RFC 1035, 4.1.1: come again over TCP
            packed = short.pack()
        return packed

    def _answer(self, answer: DNSRecord, name: str, kind: str) -> None:
        for _ in range(8):  # CNAME chains end
            records = self._records(name)
            if not isinstance(records, Mapping):
                break
            ttl_s = int(records.get("TTL", DEFAULT_TTL_S))
            texts = records.get(kind)
            if isinstance(texts, Sequence) and texts and texts not in TROUBLES:
                _add(answer, name, kind, texts, ttl_s)
                return
            target = records.get("CNAME")
            if not target or kind == "CNAME":
                break
            _add(answer, name, "CNAME", target, ttl_s)
            name = str(target[0]).rstrip(".").lower()
        if not answer.rr and not self._exists(name):
            answer.header.rcode = RCODE.NXDOMAIN
        soa = SOA("ns.test.", "hostmaster.test.", (1, 3600, 600, 86400, self.negative_ttl_s))
        answer.add_auth(RR(_apex(name), QTYPE.SOA, ttl=self.negative_ttl_s, rdata=soa))

    def _trouble(self, name: str, kind: str) -> str | None:
        records = self._records(name)
        if isinstance(records, Mapping):
            records = records.get(kind)
        return records if isinstance(records, str) and records in TROUBLES else None

    def _records(self, name: str) -> Records | Trouble | None:
        exact = self.zone.get(name)
        if exact is not None or self._exists(name):
            return exact
        labels = name.split(".")
        for cut in range(1, len(labels) + 1):  # RFC 4592: the closest encloser's wildcard
            wildcard = self.zone.get(".".join(("*", *labels[cut:])))
            if wildcard is not None:
                return wildcard
            if self._exists(".".join(labels[cut:])):
                return None
        return None

    def _exists(self, name: str) -> bool:
        return name in self.zone or any(known.endswith(f".{name}") for known in self.zone)


def _apex(name: str) -> str:
    return ".".join(name.split(".")[-2:]) or "."


def _udp_limit_octets(query: DNSRecord) -> int:
    sizes = [rr.rclass for rr in query.ar if rr.rtype == QTYPE.OPT]  # RFC 6891, 6.1.2
    return max(PLAIN_UDP_OCTETS, *sizes) if sizes else PLAIN_UDP_OCTETS


def _add(answer: DNSRecord, name: str, kind: str, texts: Sequence[Any], ttl_s: int) -> None:
    for text in texts:
        rdata = _rdata(kind, text)
        answer.add_answer(RR(name, getattr(QTYPE, kind), ttl=ttl_s, rdata=rdata))


def _rdata(kind: str, text: Any) -> Any:
    if kind == "MX":
        preference, _, host = str(text).partition(" ")
        return MX(host, int(preference))
    if kind in ("TXT", "SPF"):
        return TXT(_strings(text))
    return {"A": A, "AAAA": AAAA, "CNAME": CNAME, "NS": NS, "PTR": PTR}[kind](text)


def _strings(text: Any) -> list[bytes]:
    if isinstance(text, (tuple, list)):
        return [part.encode() if isinstance(part, str) else bytes(part) for part in text]
    octets = text.encode() if isinstance(text, str) else bytes(text)
    return [octets[at : at + 255] for at in range(0, len(octets), 255)] or [b""]


def _lie(query: DNSRecord) -> bytes:
    header = DNSHeader(id=query.header.id ^ 0xFFFF, qr=1, ra=1)
    lie = DNSRecord(header, q=query.q)
    lie.add_answer(RR("victim.example", QTYPE.A, CLASS.IN, 86400, A("192.0.2.66")))
    packed: bytes = lie.pack()
    return packed


class _UdpHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        octets, sock = self.request
        answer = self.server.owner.reply(octets, is_udp=True)  # type: ignore[attr-defined]
        if answer is not None:
            sock.sendto(answer, self.client_address)


class _TcpHandler(socketserver.StreamRequestHandler):
    timeout = 30

    def handle(self) -> None:
        while len(length := self.rfile.read(2)) == 2:
            octets = self.rfile.read(struct.unpack("!H", length)[0])
            answer = self.server.owner.reply(octets, is_udp=False)  # type: ignore[attr-defined]
            if answer is None:
                return
            self.wfile.write(struct.pack("!H", len(answer)) + answer)


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True
    block_on_close = False
    max_packet_size = 65_535


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128


def _bind_both(host: str, owner: DnsServer) -> tuple[_Tcp, _Udp]:
    for _ in range(50):
        tcp = _Tcp((host, 0), _TcpHandler)
        try:
            udp = _Udp((host, tcp.server_address[1]), _UdpHandler)
        except OSError:  # another process has the UDP port of this number
            tcp.server_close()
            continue
        udp.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        tcp.owner = udp.owner = owner  # type: ignore[attr-defined]
        return tcp, udp
    raise OSError("no port free for both UDP and TCP")


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    """A DNS server with an empty zone."""
    server = DnsServer()
    yield server
    server.stop()
