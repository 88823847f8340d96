"""The resolver against a DNS server that may be slow, wrong, hostile or gone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from mailchute.answers import Answer, AnswerCache
from mailchute.errors import LookupFailed
from mailchute.resolver import Resolver, reverse_name_of
from mailchute.settings import DnsSettings

from tests.servers.dns import DnsServer


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def resolver_of(dns: DnsServer, **options: object) -> Resolver:
    settings = DnsSettings(host=dns.host, port=dns.port)
    return Resolver(settings, query_timeout_s=0.15, lookup_timeout_s=0.4, **options)  # type: ignore[arg-type]


RECORDS = {
    ("example.org", "TXT"): ("v=spf1 -all", "two strings"),
    ("EXAMPLE.org.", "MX"): ("10 mx.example.org",),
    ("example.org", "A"): ("192.0.2.1",),
    ("example.org", "AAAA"): ("2001:db8::1",),
    ("alias.example", "A"): ("192.0.2.1",),
    ("any.wild.example", "A"): ("192.0.2.9",),
    ("null.example", "MX"): ("0 .",),
    ("bücher.example", "A"): ("192.0.2.8",),
    ("1.2.0.192.in-addr.arpa", "PTR"): ("mx.example.org",),
    ("long.example", "TXT"): ("x" * 900,),
    ("octets.example", "TXT"): ("\xe9\x00\xff",),
    ("example.org", "PTR"): (),
    ("nothing.example", "A"): (),
    ("loop.example", "A"): (),
}
ZONE = {
    "example.org": {
        "TXT": ["v=spf1 -all", ("two ", "strings")],
        "MX": ["10 mx.example.org"],
        "A": ["192.0.2.1"],
        "AAAA": ["2001:db8::1"],
    },
    "alias.example": {"CNAME": ["example.org"]},
    "loop.example": {"CNAME": ["loop.example"]},
    "*.wild.example": {"A": ["192.0.2.9"]},
    "null.example": {"MX": ["0 ."]},
    "xn--bcher-kva.example": {"A": ["192.0.2.8"]},
    "1.2.0.192.in-addr.arpa": {"PTR": ["mx.example.org"]},
    "long.example": {"TXT": ["x" * 900]},
    "octets.example": {"TXT": [b"\xe9\x00\xff"]},
}


@pytest.mark.parametrize(("question", "texts"), RECORDS.items(), ids=map(str, RECORDS))
def test_records_are_returned(dns: DnsServer, question: tuple[str, str], texts: tuple[str, ...]) -> None:
    dns.zone.update(ZONE)
    assert sorted(resolver_of(dns).lookup(*question).texts) == sorted(texts)


FAILURES = {
    "timeout": "timeout",
    "servfail": "servfail",
    "refused": "refused",
    "garbage": "timeout",
    "lie": "timeout",
}


@pytest.mark.parametrize(("trouble", "reason"), FAILURES.items())
def test_a_failure_names_what_was_asked(dns: DnsServer, trouble: str, reason: str) -> None:
    dns.zone["bad.example"] = trouble  # type: ignore[assignment]
    with pytest.raises(LookupFailed) as caught:
        resolver_of(dns).lookup("bad.example", "TXT")
    assert (caught.value.name, caught.value.kind, caught.value.reason) == ("bad.example", "TXT", reason)


def test_a_lie_about_another_name_is_not_kept(dns: DnsServer) -> None:
    dns.zone["lie.example"] = "lie"
    resolver = resolver_of(dns)
    with pytest.raises(LookupFailed):
        resolver.lookup("lie.example", "A")
    assert resolver.cached("victim.example", "A") is None


def test_an_answer_that_fills_no_datagram_comes_over_tcp(dns: DnsServer) -> None:
    dns.zone["huge.example"] = "huge"
    assert resolver_of(dns).lookup("huge.example", "TXT").texts == ("x" * 250,)


def test_an_answer_is_kept_for_its_ttl_and_no_longer(dns: DnsServer) -> None:
    clock = Clock()
    dns.zone["example.org"] = {"A": ["192.0.2.1"], "TTL": 60}
    resolver = resolver_of(dns, clock=clock)
    for _ in range(3):
        resolver.lookup("example.org", "A")
    assert dns.query_count == 1
    clock.now_s += 61
    resolver.lookup("example.org", "A")
    assert dns.query_count == 2


def test_ttl_0_is_not_kept(dns: DnsServer) -> None:
    dns.zone["example.org"] = {"A": ["192.0.2.1"], "TTL": 0}
    resolver = resolver_of(dns)
    for _ in range(3):
        resolver.lookup("example.org", "A")
    assert dns.query_count == 3


def test_that_there_is_nothing_is_kept_too(dns: DnsServer) -> None:
    resolver = resolver_of(dns)
    answers = [resolver.lookup("nothing.example", "A") for _ in range(3)]
    assert [(a.texts, a.is_name) for a in answers] == [((), False)] * 3
    assert dns.query_count == 1


def test_a_server_that_failed_is_left_alone_for_a_moment(dns: DnsServer) -> None:
    clock = Clock()
    dns.zone["bad.example"] = "servfail"
    resolver = resolver_of(dns, clock=clock)
    for _ in range(5):
        with pytest.raises(LookupFailed):
            resolver.lookup("bad.example", "A")
    asked = dns.query_count
    dns.zone["bad.example"] = {"A": ["192.0.2.1"]}
    clock.now_s += 10
    assert resolver.lookup("bad.example", "A").texts == ("192.0.2.1",)
    assert asked == 2  # one look-up, each server twice


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".example", ".".join(["label"] * 60), "", "."])
def test_what_can_be_no_name_is_asked_of_nobody(dns: DnsServer, name: str) -> None:
    answer = resolver_of(dns).lookup(name, "TXT") if name not in ("", ".") else Answer(name="", kind="TXT")
    assert answer.texts == ()
    assert dns.query_count == 0


def test_many_threads_asking_one_question_ask_it_once(dns: DnsServer) -> None:
    dns.zone.update(ZONE)
    resolver, start = resolver_of(dns), threading.Barrier(8)

    def ask() -> tuple[str, ...]:
        start.wait()
        return resolver.lookup("example.org", "A").texts

    with ThreadPoolExecutor(8) as pool:
        answers = [future.result() for future in [pool.submit(ask) for _ in range(8)]]
    assert answers == [("192.0.2.1",)] * 8
    assert dns.query_count == 1


def test_a_deadline_ends_a_look_up_early(dns: DnsServer) -> None:
    dns.zone["slow.example"] = "timeout"
    resolver = resolver_of(dns)
    with pytest.raises(LookupFailed, match="timeout"):
        resolver.lookup("slow.example", "A", deadline=resolver.now())
    assert resolver.cached("slow.example", "A") is None  # that nobody waited says nothing about the server


def test_addresses_are_those_of_both_families(dns: DnsServer) -> None:
    dns.zone.update(ZONE)
    assert resolver_of(dns).addresses("example.org") == ("192.0.2.1", "2001:db8::1")


def test_addresses_known_count_when_the_other_family_fails(dns: DnsServer) -> None:
    dns.zone["half.example"] = {"A": ["192.0.2.1"], "AAAA": "servfail"}
    dns.zone["none.example"] = {"AAAA": "servfail"}
    assert resolver_of(dns).addresses("half.example") == ("192.0.2.1",)
    with pytest.raises(LookupFailed):
        resolver_of(dns).addresses("none.example")


def test_localhost_needs_no_dns(dns: DnsServer) -> None:
    assert "127.0.0.1" in resolver_of(dns).addresses("localhost")
    assert dns.query_count == 0


def test_a_server_that_is_gone_is_a_failure() -> None:
    resolver = Resolver(DnsSettings(host="127.0.0.1", port=1), query_timeout_s=0.1, lookup_timeout_s=0.3)
    with pytest.raises(LookupFailed):
        resolver.lookup("example.org", "A")


def test_the_cache_is_bounded_and_keeps_what_is_used() -> None:
    cache = AnswerCache(max_octets=10_000)
    for number in range(100):
        cache.put((f"n{number}", "A"), Answer(name=f"n{number}", kind="A", texts=("x" * 600,), ttl_s=60), 0)
        cache.get(("n0", "A"), 0)
    kept = [number for number in range(100) if cache.get((f"n{number}", "A"), 0)]
    assert len(kept) <= 10
    assert 0 in kept
    assert 99 in kept


def test_reverse_names() -> None:
    assert reverse_name_of("192.0.2.1") == "1.2.0.192.in-addr.arpa"
    assert reverse_name_of("2001:db8::1").endswith("8.b.d.0.1.0.0.2.ip6.arpa")
