"""DNS lists of clients, asked before the body."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from tests.ingress.edge_process import EdgeProcess, Jet, new_content
from tests.servers.dns import DnsServer

Start = Callable[..., EdgeProcess]
TEST_ENTRIES = {"2.0.0.127.{zone}": {"A": ["127.0.0.2"]}}


def zone(name: str, **listed: str) -> dict[str, dict[str, list[str]]]:
    """Return a list's zone with the test entry of RFC 5782, 5 and these reversed addresses."""
    entries = {f"2.0.0.127.{name}": {"A": ["127.0.0.2"]}}
    for address, answer in listed.items():
        entries[f"{address.removeprefix('ip').replace('_', '.')}.{name}"] = {"A": [answer]}
    return entries


def dialog(edge: EdgeProcess, client_ip: str) -> list[bytes]:
    """Go as far as the reply to RCPT from this client, and on to the end of a mail if that is 250."""
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as client:
        lines = client.makefile("rb")
        family = "TCP6" if ":" in client_ip else "TCP4"
        ours = "::1" if ":" in client_ip else "127.0.0.1"
        client.sendall(f"PROXY {family} {client_ip} {ours} 1000 25\r\n".encode())
        heard = [lines.readline()]
        for command in (b"HELO x", b"MAIL FROM:<ann@sender.test>", b"RCPT TO:<support@inbox.test>"):
            client.sendall(command + b"\r\n")
            heard.append(lines.readline())
        if heard[-1].startswith(b"250"):
            client.sendall(b"DATA\r\n")
            lines.readline()
            client.sendall(new_content() + b".\r\n")
            heard.append(lines.readline())
        return heard


@pytest.fixture
def lists() -> Callable[..., DnsServer]:
    return DnsServer


def test_a_listed_client_is_refused_at_its_first_recipient(
    dns: DnsServer, jet: Jet, start_edge: Start
) -> None:
    dns.zone.update(zone("bl.test", ip9_113_0_203="127.0.0.4", ip10_113_0_203="127.255.255.254"))
    dns.zone["9.113.0.203.bl.test"]["TXT"] = ["see https://bl.test/?q=203.0.113.9"]
    edge = start_edge(DNS=dns.address, DNSBL="bl.test=refuse", PROXY_FROM="127.0.0.1/32")
    edge.event("dns-list")
    reply = b"554 5.7.1 203.0.113.9 is listed by bl.test: see https://bl.test/?q=203.0.113.9\r\n"
    assert dialog(edge, "203.0.113.9")[-1] == reply
    assert dialog(edge, "203.0.113.10")[-1].startswith(b"250")  # "your resolver may not ask" is no listing
    assert dialog(edge, "203.0.113.11")[-1].startswith(b"250")


def test_ipv6_clients_are_asked_for_by_nibbles(dns: DnsServer, jet: Jet, start_edge: Start) -> None:
    nibbles = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"
    dns.zone.update(zone("bl.test", **{f"ip{nibbles}": "127.0.0.4"}))
    edge = start_edge(DNS=dns.address, DNSBL="bl.test=refuse", PROXY_FROM="127.0.0.1/32")
    edge.event("dns-list")
    assert dialog(edge, "2001:db8::1")[-1].startswith(b"554 5.7.1 2001:db8::1 is listed")


def test_a_list_that_only_scores_is_told_in_the_envelope(dns: DnsServer, jet: Jet, start_edge: Start) -> None:
    dns.zone.update(zone("bl.test", ip9_113_0_203="127.0.0.4"))
    edge = start_edge(DNS=dns.address, DNSBL="bl.test=score", PROXY_FROM="127.0.0.1/32")
    edge.event("dns-list")
    assert dialog(edge, "203.0.113.9")[-1].startswith(b"250 2.0.0 accepted")
    assert jet.mails()[0].envelope.listed_by == ("bl.test",)


def test_a_list_that_names_everyone_or_answers_not_is_left_out(
    dns: DnsServer, jet: Jet, start_edge: Start
) -> None:
    everyone = zone("bl.test", ip9_113_0_203="127.0.0.4")
    everyone["1.0.0.127.bl.test"] = {"A": ["127.0.0.2"]}
    dns.zone.update(everyone)
    edge = start_edge(DNS=dns.address, DNSBL="bl.test=refuse,dead.test=refuse", PROXY_FROM="127.0.0.1/32")
    before = dns.query_count
    assert dialog(edge, "203.0.113.9")[-1].startswith(b"250 2.0.0 accepted")
    assert dns.query_count - before <= 4  # the probes at most: nobody waited for an answer
