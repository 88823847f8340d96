"""The DNS stub answers as a resolver expects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import dns.resolver
import dns.reversename
import pytest

from bench.child import free_port, module, running
from bench.dns_stub import zone_of

KEY = "v=DKIM1; p=" + "A" * 392  # longer than one string of a TXT record


@pytest.fixture(scope="module")
def resolver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dns.resolver.Resolver]:
    folder: Path = tmp_path_factory.mktemp("dns")
    (folder / "zone.json").write_text(json.dumps(zone_of(KEY)))
    port = free_port()
    command = module("bench.dns_stub", "--port", str(port), "--zone", folder / "zone.json")
    with running(command, folder / "log"):
        asking = dns.resolver.Resolver(configure=False)
        asking.nameservers, asking.port, asking.lifetime = ["127.0.0.1"], port, 5
        yield asking


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sender-00.test", "v=spf1 ip4:127.0.0.1 -all"),
        ("_dmarc.Sender-19.test", "v=DMARC1; p=reject"),
        ("bench._domainkey.sender-07.test", KEY),
    ],
)
def test_a_sender_has_its_records(resolver: dns.resolver.Resolver, name: str, text: str) -> None:
    [record] = resolver.resolve(name, "TXT")
    assert b"".join(record.strings).decode() == text


def test_the_client_has_a_name_that_leads_back(resolver: dns.resolver.Resolver) -> None:
    [name] = resolver.resolve(dns.reversename.from_address("127.0.0.1"), "PTR")
    [address] = resolver.resolve(name.target, "A")
    assert address.address == "127.0.0.1"


def test_what_is_not_there_does_not_exist(resolver: dns.resolver.Resolver) -> None:
    with pytest.raises(dns.resolver.NXDOMAIN):
        resolver.resolve("nobody.test", "TXT")
    with pytest.raises(dns.resolver.NoAnswer):
        resolver.resolve("sender-00.test", "MX")
