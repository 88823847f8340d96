"""A DNS server over UDP whose zone is a JSON file: SPF, DKIM, DMARC and PTR for the bench's senders."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import struct
from pathlib import Path
from typing import cast

import uvloop

from bench.mails import SELECTOR, SENDER_DOMAINS

TTL_S = 300
TYPES = {"A": 1, "SOA": 6, "PTR": 12, "TXT": 16}
Zone = dict[str, dict[str, list[str]]]  # name → type → values
_ANSWER_FLAGS, _NXDOMAIN_FLAGS = 0x8580, 0x8583  # authoritative, recursion on both sides


def zone_of(public_key: str) -> Zone:
    """Return a zone in which every mail of the bench passes SPF, DKIM and DMARC from 127.0.0.1."""
    zone: Zone = {
        "1.0.0.127.in-addr.arpa": {"PTR": ["mail.sender.test"]},
        "mail.sender.test": {"A": ["127.0.0.1"], "TXT": ["v=spf1 ip4:127.0.0.1 -all"]},
    }
    for domain in SENDER_DOMAINS:
        zone[domain] = {"TXT": ["v=spf1 ip4:127.0.0.1 -all"], "A": ["127.0.0.1"]}
        zone[f"{SELECTOR}._domainkey.{domain}"] = {"TXT": [public_key]}
        zone[f"_dmarc.{domain}"] = {"TXT": ["v=DMARC1; p=reject"]}
    return zone


class Responder(asyncio.DatagramProtocol):
    """Answers from the zone; what is not in it does not exist."""

    def __init__(self, zone: Zone) -> None:
        self._answers: dict[tuple[bytes, int], bytes] = {}
        for name, records in zone.items():
            for kind, values in records.items():
                body = b"".join(_record(TYPES[kind], _rdata(kind, value)) for value in values)
                self._answers[_wire_name(name), TYPES[kind]] = struct.pack("!HHH", len(values), 0, 0) + body
        self._names = {name for name, _ in self._answers}
        soa = _wire_name("ns.test") + _wire_name("root.test") + struct.pack("!5I", 1, 60, 60, 60, TTL_S)
        self._nothing = struct.pack("!HHH", 0, 1, 0) + _record(TYPES["SOA"], soa, owner=_wire_name("test"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # uvloop's is one in all but its bases

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        end = data.find(b"\0", 12) + 5
        if end < 17 or len(data) < end:
            return
        name, kind = data[12 : end - 4].lower(), int.from_bytes(data[end - 4 : end - 2])
        answer = self._answers.get((name, kind))
        flags = _ANSWER_FLAGS if answer or name in self._names else _NXDOMAIN_FLAGS
        header = data[:2] + struct.pack("!HH", flags, 1)
        body = answer or self._nothing
        self._transport.sendto(header + body[:6] + data[12:end] + body[6:], addr)


def _record(kind: int, rdata: bytes, owner: bytes = b"\xc0\x0c") -> bytes:
    return owner + struct.pack("!HHIH", kind, 1, TTL_S, len(rdata)) + rdata


def _rdata(kind: str, value: str) -> bytes:
    if kind == "A":
        return ipaddress.IPv4Address(value).packed
    if kind == "PTR":
        return _wire_name(value)
    text = value.encode()
    strings = [text[start : start + 255] for start in range(0, len(text), 255)]
    return b"".join(bytes([len(string)]) + string for string in strings)


def _wire_name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


async def serve(port: int, zone: Zone) -> None:
    """Answer on 127.0.0.1 until cancelled."""
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: Responder(zone), local_addr=("127.0.0.1", port))
    print("ready", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--zone", type=Path, required=True)
    options = arguments.parse_args()
    uvloop.run(serve(options.port, json.loads(options.zone.read_text())))


if __name__ == "__main__":
    main()
