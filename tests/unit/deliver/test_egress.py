"""Every form of an address that must not be dialled, with a listener there that must see nothing."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator

import pytest
from mailchute.resolver import Resolver
from mailchute.settings import DnsSettings

from functions.deliver.egress import is_public
from functions.deliver.names import resolve_by
from tests.servers.dns import DnsServer
from tests.servers.sink import Sink
from tests.unit.deliver.given import attempts, endpoint, request

FORBIDDEN = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",  # a cloud's metadata
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",  # Azure's WireServer
    "169.254.169.254",  # metadata
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",  # Oracle's metadata
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",  # IPv4-compatible
    "::ffff:127.0.0.1",  # IPv4-mapped
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",  # IPv4-translated
    "64:ff9b::127.0.0.1",  # NAT64
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",  # NAT64, local use
    "100::1",  # discard
    "2001::1",  # Teredo
    "2001:0:7f00:1::",
    "2001:db8::1",
    "2001:10::1",  # ORCHID
    "2002:7f00:1::",  # 6to4 of 127.0.0.1
    "2002:0808:0808::",  # 6to4 of a public one: who knows where it ends
    "3fff::1",
    "5f00::1",  # SRv6
    "fc00::1",
    "fd00:ec2::254",  # metadata
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1", "64:ff9b::808:808"]

UNUSUAL = [
    "127.1",
    "127.0.1",
    "0",
    "0x7f000001",
    "0x7f.0.0.1",
    "0X7F.1",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "127.0.0.01",
    "127.0.0.0x1",
    "1.2.3.4.5",
    "256.1.1.1",
    "127.0.0.1.",
    "①②⑦.0.0.1",
    "１２７.0.0.1",
    "127。0。0。1",
    "127.0.0.1%2e",
    "[::1%25lo]",
    "[127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:0:0:1]",
    "localhost",
    "LOCALHOST.",
    "a.localhost",
    "ⓛocalhost",
    "user@localhost",
    "public.example@127.0.0.1",
    "127.0.0.1\\@public.example",
    "127.0.0.1 ",
    "127.0.0.1\t",
    "\n127.0.0.1",
    "127.0.0.1\x00.public.example",
]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def saw_nothing(listener: socket.socket) -> bool:
    try:
        listener.accept()
    except BlockingIOError:
        return True
    return False


def resolving(dns: DnsServer) -> object:
    return resolve_by(Resolver(DnsSettings(host=dns.host, port=dns.port)))


@pytest.mark.parametrize("text", FORBIDDEN)
@pytest.mark.parametrize("form", ["literal", "name"])
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_forbidden_address_is_never_dialled(
    text: str, form: str, scheme: str, listener: socket.socket, dns: DnsServer
) -> None:
    address = ipaddress.ip_address(text)
    dns.zone["hooks.test"] = {"A" if address.version == 4 else "AAAA": [address.exploded]}
    host = "hooks.test" if form == "name" else text if address.version == 4 else f"[{text}]"
    port = listener.getsockname()[1]
    url = f"{scheme}://{host}:{port}/"
    outcome = attempts(
        endpoint(url), allowed="", resolve=resolving(dns), ports=frozenset({port}), timeout_s=2
    ).make(request())
    assert (outcome.result, outcome.status) == ("failed", None)
    assert "not public" in outcome.reason
    assert saw_nothing(listener)


@pytest.mark.parametrize("host", UNUSUAL)
def test_an_unusual_way_to_write_loopback_is_never_dialled(
    host: str, listener: socket.socket, dns: DnsServer
) -> None:
    dns.zone["*"] = {"A": ["127.0.0.1"]}
    port = listener.getsockname()[1]
    outcome = attempts(
        endpoint(f"https://{host}:{port}/"),
        allowed="",
        resolve=resolving(dns),
        ports=frozenset({port}),
        timeout_s=2,
    ).make(request())
    assert (outcome.result, outcome.status) == ("failed", None)
    assert outcome.reason
    assert saw_nothing(listener)


@pytest.mark.parametrize("text", FORBIDDEN)
def test_what_is_forbidden_is_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_what_the_internet_routes_is_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


def test_a_name_that_flips_to_a_forbidden_address_is_not_dialled_there(sink: Sink, dns: DnsServer) -> None:
    with socket.create_server(("127.0.0.2", sink.port)) as inside:
        inside.setblocking(False)
        dns.zone["flip.test"] = {"A": ["127.0.0.1"], "TTL": 0}
        make = attempts(
            endpoint(sink.url("/hook", host="flip.test")), allowed="127.0.0.1/32", resolve=resolving(dns)
        ).make
        assert make(request()).result == "delivered"
        dns.zone["flip.test"] = {"A": ["127.0.0.2"], "TTL": 0}
        outcome = make(request())
        assert outcome.result == "failed"
        assert "127.0.0.2, which is not public" in outcome.reason
        dns.zone["flip.test"] = {"A": ["127.0.0.1", "127.0.0.2"], "TTL": 0}
        assert make(request()).result == "failed"
        assert saw_nothing(inside)
    assert len(sink.posts("/hook")) == 1


def test_the_next_address_of_a_name_is_dialled_when_one_does_not_answer(sink: Sink, dns: DnsServer) -> None:
    dns.zone["two.test"] = {"A": ["127.0.0.2", "127.0.0.3", "127.0.0.1"]}
    url = sink.url("/hook", host="two.test")
    outcome = attempts(endpoint(url), resolve=resolving(dns)).make(request())
    assert (outcome.result, outcome.reason) == ("delivered", "")


def test_private_addresses_open_one_network_at_a_time(sink: Sink) -> None:
    outcome = attempts(endpoint(sink.url("/hook")), allowed="10.0.0.0/8,127.0.0.2/32").make(request())
    assert outcome.result == "failed"
    assert "MAILCHUTE_ALLOW_PRIVATE" in outcome.reason
    assert not sink.posts()


def test_a_mapped_address_is_the_ipv4_address_it_maps(sink: Sink) -> None:
    outcome = attempts(endpoint(sink.url("/hook", host="[::ffff:127.0.0.1]"))).make(request())
    assert outcome.result == "delivered"


def test_localhost_is_loopback_without_any_dns(sink: Sink) -> None:
    url = sink.url("/hook", host="localhost")
    outcome = attempts(endpoint(url), allowed="127.0.0.0/8,::1/128").make(request())
    assert outcome.result == "delivered"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://1.1.1.1/", "not https"),
        ("https://1.1.1.1:22/", "MAILCHUTE_WEBHOOK_PORTS"),
        ("https://1.1.1.1:6379/", "MAILCHUTE_WEBHOOK_PORTS"),
        ("ftp://1.1.1.1/", "not https"),
        ("file:///etc/passwd", "not https"),
        ("gopher://127.0.0.1:25/", "not https"),
        ("//1.1.1.1/", "not https"),
        ("", "not https"),
        ("https:///path", "no domain name"),
        ("https://", "no domain name"),
        ("https://user:password@hooks.test/", "basic_auth"),
        ("https://hooks.test/#fragment", "fragment"),
        ("https://hooks.test/#", "fragment"),
        ("https://hooks.test/a b", "blanks"),
        ("https://hooks.test/a\r\nX: y", "blanks"),
        ("https://hooks.test:port/", "cannot be read"),
        ("https://hooks.test:70000/", "cannot be read"),
        ("https://[::1/", "cannot be read"),
        ("https://-hooks.test/", "no domain name"),
        ("https://a..b/", "no domain name"),
        ("https://" + "a" * 64 + ".test/", "no domain name"),
        ("https://hooks.test/" + "a" * 3_000, "too long"),
    ],
)
def test_a_url_we_do_not_post_to_says_what_to_change(url: str, reason: str) -> None:
    outcome = attempts(endpoint(url)).make(request())
    assert outcome.result == "failed"
    assert reason in outcome.reason
    assert "password" not in outcome.reason.replace("or password", "")


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ({"A": []}, "no address"),
        ({"A": "servfail", "AAAA": "servfail"}, "did not answer"),
    ],
)
def test_a_name_without_an_address_is_the_endpoints_fault(
    records: dict[str, object], reason: str, dns: DnsServer
) -> None:
    dns.zone["hooks.test"] = records  # type: ignore[assignment]
    outcome = attempts(endpoint("https://hooks.test/"), resolve=resolving(dns)).make(request())
    assert outcome.result == "failed"
    assert reason in outcome.reason
