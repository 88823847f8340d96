"""DMARC by RFC 9989: the tree walk, policies, and alignment."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from mailchute.answers import Answer
from mailchute.errors import LookupFailed

from functions.scan.dmarc import discover, is_aligned, walk_from
from functions.scan.lookups import Lookups

Zone = Mapping[str, str | list[str] | None]


class Dns:
    """TXT records by name, other types by "name type"; None fails; counts questions."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self.asked: list[str] = []

    def lookup(self, name: str, kind: str) -> Answer:
        self.asked.append(name)
        found = self._zone.get(name if kind == "TXT" else f"{name} {kind}", [])
        if found is None:
            raise LookupFailed(name, kind, "timeout")
        return Answer(name=name, kind=kind, texts=(found,) if isinstance(found, str) else tuple(found))

    def still_says(self, answer: Answer) -> bool:
        return False


def lookups(zone: Zone) -> Lookups:
    return Lookups(Dns(zone))


ORG = {
    "no record anywhere": ({}, "a.b.example", "a.b.example"),
    "one record above": ({"_dmarc.b.example": "v=DMARC1; p=none"}, "a.b.example", "b.example"),
    "the shortest name wins": (
        {"_dmarc.a.b.example": "v=DMARC1;p=none", "_dmarc.b.example": "v=DMARC1;p=none"},
        "a.b.example",
        "b.example",
    ),
    "psd=n ends the walk": (
        {"_dmarc.a.b.example": "v=DMARC1;p=none;psd=n", "_dmarc.b.example": "v=DMARC1;p=none"},
        "x.a.b.example",
        "a.b.example",
    ),
    "psd=y: one label below": ({"_dmarc.example": "v=DMARC1;p=none;psd=y"}, "a.b.example", "b.example"),
    "psd=y at the start is itself": ({"_dmarc.example": "v=DMARC1;p=none;psd=y"}, "example", "example"),
    "two records are none": (
        {"_dmarc.b.example": ["v=DMARC1;p=none", "v=DMARC1;p=reject"]},
        "b.example",
        "b.example",
    ),
    "other TXT records do not count": (
        {"_dmarc.b.example": ["hello", "v=DMARC1;p=none", "v=dmarc1;p=reject"]},
        "a.b.example",
        "b.example",
    ),
}


@pytest.mark.parametrize(("zone", "start", "org"), ORG.values(), ids=ORG)
def test_the_organizational_domain_is_found_by_the_walk(zone: Zone, start: str, org: str) -> None:
    assert walk_from(start, lookups(zone)).org_domain == org


@pytest.mark.parametrize("labels", [1, 2, 7, 8, 9, 40])
def test_a_walk_is_eight_queries_at_most(labels: int) -> None:
    dns = Dns({})
    walk_from(".".join(["x"] * labels), Lookups(dns))
    assert len(dns.asked) == min(labels, 8)
    assert dns.asked[0] == "_dmarc." + ".".join(["x"] * labels)
    assert dns.asked[-1] == "_dmarc.x"


POLICY = {
    "p": ("v=DMARC1; p=reject", "b.example", "reject"),
    "p in capitals": ("v=DMARC1; P=REJECT", "b.example", "reject"),
    "sp for a subdomain": ("v=DMARC1; p=reject; sp=none", "a.b.example", "none"),
    "p for a subdomain without sp": ("v=DMARC1; p=reject", "a.b.example", "reject"),
    "np for a subdomain that is not there": (
        "v=DMARC1; p=none; sp=none; np=reject",
        "no.b.example",
        "reject",
    ),
    "sp where it is there": ("v=DMARC1; p=none; sp=quarantine; np=reject", "is.b.example", "quarantine"),
    "sp stands in for np": ("v=DMARC1; p=none; sp=quarantine", "no.b.example", "quarantine"),
    "t=y weakens": ("v=DMARC1; p=reject; t=y", "b.example", "quarantine"),
    "t=y weakens quarantine": ("v=DMARC1; p=quarantine; t=y", "b.example", "none"),
    "pct is gone": ("v=DMARC1; p=reject; pct=0", "b.example", "reject"),
    "no p, but a report address": ("v=DMARC1; rua=mailto:d@b.example", "b.example", "none"),
    "no p and no report address": ("v=DMARC1", "b.example", None),
    "a bad sp": ("v=DMARC1; p=reject; sp=maybe", "b.example", None),
    "version not first": ("p=reject; v=DMARC1", "b.example", None),
}


@pytest.mark.parametrize(("record", "domain", "policy"), POLICY.values(), ids=POLICY)
def test_the_policy_is_what_the_record_asks_for(record: str, domain: str, policy: str | None) -> None:
    zone = {"_dmarc.b.example": record, "is.b.example A": "192.0.2.1"}
    assert discover(domain, lookups(zone)).policy == policy


def test_a_public_suffix_record_governs_who_has_none() -> None:
    zone = {"_dmarc.example": "v=DMARC1; p=none; sp=reject; psd=y"}
    found = discover("b.example", lookups(zone))
    assert (found.policy, found.walk.org_domain) == ("reject", "b.example")


def test_a_silent_dns_is_a_failure_and_not_no_record() -> None:
    with pytest.raises(LookupFailed):
        discover("a.b.example", lookups({"_dmarc.a.b.example": None}))
    with pytest.raises(LookupFailed):
        discover(
            "no.b.example", lookups({"_dmarc.b.example": "v=DMARC1;p=none;np=reject", "no.b.example A": None})
        )


ALIGNED = {
    ("b.example", "b.example", True): True,
    ("a.b.example", "b.example", False): True,
    ("b.example", "a.b.example", False): True,
    ("x.b.example", "y.b.example", False): True,
    ("a.b.example", "b.example", True): False,
    ("b.example", "c.example", False): False,
    ("b.example", "b.test", False): False,
    ("own.b.example", "b.example", False): False,  # psd=n below
}


@pytest.mark.parametrize(("pair", "is_so"), ALIGNED.items())
def test_alignment(pair: tuple[str, str, bool], *, is_so: bool) -> None:
    zone = {
        "_dmarc.b.example": "v=DMARC1; p=none",
        "_dmarc.c.example": "v=DMARC1; p=none",
        "_dmarc.own.b.example": "v=DMARC1; p=none; psd=n",
    }
    assert is_aligned(pair[0], pair[1], is_strict=pair[2], lookups=lookups(zone)) is is_so


def test_subdomains_without_any_record_are_organizations_of_their_own() -> None:
    assert not is_aligned("a.b.example", "b.example", is_strict=False, lookups=lookups({}))
