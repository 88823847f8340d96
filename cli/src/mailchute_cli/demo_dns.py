"""
The demo's DNS: the records of the domain it sends from; for every other name it asks this machine's own.

So `make run` shows a sender who is authenticated, on a machine without any network too.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset

UPSTREAM_S = 2.0
TTL_S = 60
MESSAGE_OCTETS = 4_096

Zone = dict[str, list[str]]  # name without its last dot → TXT records


class DemoDns:
    """Answers over UDP, one query after the other: a person's mail asks for a dozen names."""

    def __init__(self, zone: Zone, upstream: str | None) -> None:
        self._zone = zone
        self._upstream = upstream

    def reply(self, octets: bytes) -> bytes | None:
        """Return the answer to a query; None to what is none."""
        try:
            query = dns.message.from_wire(octets)
        except dns.exception.DNSException:
            return None
        if not query.question:
            return None
        name = query.question[0].name.to_text(omit_final_dot=True).lower()
        if not any(name == own or own.endswith(f".{name}") for own in self._zone):
            return self._asked(query)
        answer = dns.message.make_response(query, recursion_available=True)
        if query.question[0].rdtype == dns.rdatatype.TXT and name in self._zone:
            texts = [_quoted(text) for text in self._zone[name]]
            answer.answer.append(dns.rrset.from_text(query.question[0].name, TTL_S, "IN", "TXT", *texts))
        return answer.to_wire()

    def _asked(self, query: dns.message.Message) -> bytes:
        try:
            if self._upstream:
                return dns.query.udp(query, self._upstream, timeout=UPSTREAM_S).to_wire()
        except (dns.exception.DNSException, OSError):
            pass
        answer = dns.message.make_response(query, recursion_available=True)
        answer.set_rcode(dns.rcode.NXDOMAIN if self._upstream is None else dns.rcode.SERVFAIL)
        return answer.to_wire()


def system_resolver() -> str | None:
    """Return the address of this machine's first resolver; None when it has none."""
    try:
        return str(dns.resolver.Resolver().nameservers[0])
    except (dns.exception.DNSException, OSError, IndexError):
        return None


def _quoted(text: str) -> str:
    """Return a TXT record's text in strings of at most 255 octets (RFC 1035, 3.3.14)."""
    return " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255))


def main() -> None:
    port, zone_file = sys.argv[1:]
    served = DemoDns(json.loads(Path(zone_file).read_text()), system_resolver())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", int(port)))
        while True:
            octets, peer = listening.recvfrom(MESSAGE_OCTETS)
            reply = served.reply(octets)
            if reply is not None:
                listening.sendto(reply, peer)


if __name__ == "__main__":
    main()
