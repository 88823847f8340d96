"""
DMARC (RFC 9989): the policy of the author's domain, found by the tree walk, and whether it is met.

No public suffix list: the owners of domains say themselves, in `psd=`, where organizations begin.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from mailchute.errors import LookupFailed

from .lookups import Lookups

WALK_MAX_QUERIES = 8  # RFC 9989, 4.10
Policy = Literal["none", "quarantine", "reject"]

_POLICIES: Mapping[str, Policy] = {"none": "none", "quarantine": "quarantine", "reject": "reject"}
_WEAKER: Mapping[Policy, Policy] = {"reject": "quarantine", "quarantine": "none", "none": "none"}
_VERSION = re.compile(r"\s*v\s*=\s*DMARC1\s*(?:;|$)")  # 4.7: first, and case-sensitive


@dataclass(frozen=True)
class Record:
    """One DMARC policy record."""

    domain: str  # where it stands, without "_dmarc."
    tags: Mapping[str, str]

    @property
    def psd(self) -> str:
        return self.tags.get("psd", "u").lower()

    def is_strict(self, tag: Literal["adkim", "aspf"]) -> bool:
        return self.tags.get(tag, "r").lower() == "s"


@dataclass(frozen=True)
class Walk:
    """What the tree walk from one domain found."""

    start: str
    records: tuple[Record, ...]  # longest name first

    @property
    def org_domain(self) -> str:
        """The organizational domain (4.10.2)."""
        for record in self.records:
            if record.psd == "n":
                return record.domain
            if record.psd == "y" and record.domain != self.start:
                below = self.start.removesuffix(f".{record.domain}").rpartition(".")[2]
                return f"{below}.{record.domain}"
        return self.records[-1].domain if self.records else self.start


@dataclass(frozen=True)
class Found:
    """The record that governs an author domain, and what it asks for."""

    walk: Walk
    record: Record | None  # None: DMARC does not apply
    policy: Policy | None


def walk_from(domain: str, lookups: Lookups) -> Walk:
    """
    Return what the tree walk from `domain` finds, in at most 8 queries (4.10).

    Raises:
        LookupFailed: The DNS did not say.
    """
    records: list[Record] = []
    for name in _walked(domain):
        record = _record_at(name, lookups)
        if record is not None:
            records.append(record)
            if record.psd in ("y", "n"):
                break
    return Walk(domain, tuple(records))


def discover(author_domain: str, lookups: Lookups) -> Found:
    """
    Return the policy that governs mail of this author domain (4.10.1).

    Raises:
        LookupFailed: The DNS did not say.
    """
    walk = walk_from(author_domain, lookups)
    by_domain = {record.domain: record for record in walk.records}
    record = by_domain.get(author_domain) or by_domain.get(walk.org_domain)
    if record is None and walk.records and walk.records[-1].psd == "y":
        record = walk.records[-1]
    if record is None:
        return Found(walk, None, None)
    return Found(walk, record, _policy_of(record, author_domain, lookups))


def is_aligned(author_domain: str, domain: str, *, is_strict: bool, lookups: Lookups) -> bool:
    """
    Say whether an authenticated domain is aligned with the author's (4.10.2).

    Raises:
        LookupFailed: The DNS did not say what their organizational domains are.
    """
    if domain == author_domain:
        return True
    # Two domains of one organization share their last label at least: no need to ask about others.
    if is_strict or domain.rpartition(".")[2] != author_domain.rpartition(".")[2]:
        return False
    return walk_from(domain, lookups).org_domain == walk_from(author_domain, lookups).org_domain


def _walked(domain: str) -> Iterator[str]:
    labels = domain.split(".")
    yield domain
    rest = labels[1:] if len(labels) < WALK_MAX_QUERIES else labels[-(WALK_MAX_QUERIES - 1) :]
    for cut in range(len(rest)):
        yield ".".join(rest[cut:])


def _record_at(domain: str, lookups: Lookups) -> Record | None:
    texts = [text for text in lookups.lookup(f"_dmarc.{domain}", "TXT").texts if _VERSION.match(text)]
    if len(texts) != 1:
        return None  # several are none (4.10, step 2)
    tags: dict[str, str] = {}
    for part in texts[0].split(";"):
        tag, equals, value = part.partition("=")
        if equals:
            tags.setdefault(tag.strip().lower(), value.strip())
    return Record(domain, tags)


def _policy_of(record: Record, author_domain: str, lookups: Lookups) -> Policy | None:
    """Return the policy the record asks for; None when it is not to be used (4.7)."""
    given = [record.tags[tag].lower() for tag in ("sp", "np") if tag in record.tags]
    p = record.tags.get("p", "").lower()
    if p not in _POLICIES or any(value not in _POLICIES for value in given):
        return "none" if "mailto:" in record.tags.get("rua", "").lower() else None
    tag = "p"
    if record.domain != author_domain:
        if "np" in record.tags and not exists(author_domain, lookups):
            tag = "np"
        elif "sp" in record.tags:
            tag = "sp"
    policy = _POLICIES[record.tags[tag].lower()]
    return _WEAKER[policy] if record.tags.get("t", "n").lower() == "y" else policy


def exists(domain: str, lookups: Lookups) -> bool:
    """
    Say whether a domain exists for DMARC: it has an A, AAAA or MX record (3.2).

    Raises:
        LookupFailed: The DNS did not say.
    """
    failure: LookupFailed | None = None
    for kind in ("MX", "A", "AAAA"):
        try:
            if lookups.lookup(domain, kind).texts:
                return True
        except LookupFailed as error:
            failure = error
    if failure is not None:
        raise failure
    return False
