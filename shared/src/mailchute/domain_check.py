"""Whether the DNS holds what a domain needs: each record asked for, judged, and compared with last time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from mailchute.domain_records import OWNERSHIP_PREFIX, Record, State
from mailchute.errors import LookupFailed

if TYPE_CHECKING:  # who only reads what was found needs no DNS library
    from mailchute.answers import Answer

PROBE = "mailchute-check"  # the name that stands for all below a wildcard
FOUND_MAX_COUNT = 10
FOUND_MAX_CHARS = 500
ASKED_AT_ONCE = 6
_PREFIXES = {
    "ownership": OWNERSHIP_PREFIX,
    "spf": "v=spf1",  # RFC 7208, 4.5
    "dmarc": "v=DMARC1",
    "mta-sts": "v=STSv1",  # RFC 8461, 3.1
    "tls-rpt": "v=TLSRPTv1",  # RFC 8460, 3
    "dkim": "",  # RFC 6376, 3.6.1: v= need not be there
}

Judged = tuple[State, tuple[str, ...], str]


class Dns(Protocol):
    """Who answers: mailchute.resolver.Resolver."""

    def lookup(self, name: str, kind: str) -> Answer: ...

    def addresses(self, name: str) -> tuple[str, ...]: ...


def checked(records: Iterable[Record], dns: Dns, now: datetime) -> tuple[Record, ...]:
    """Return the records with what the DNS says of each now."""
    with ThreadPoolExecutor(ASKED_AT_ONCE, thread_name_prefix="domain-check") as pool:
        return tuple(pool.map(lambda one: _checked(one, dns, now), records))


def regressed(before: Iterable[Record], after: Iterable[Record]) -> tuple[Record, ...]:
    """Return the records that were there when the DNS last answered, and now are not."""
    was_ok = {(one.kind, one.expected) for one in before if one.settled == "ok"}
    return tuple(one for one in after if one.settled != "ok" and (one.kind, one.expected) in was_ok)


def _checked(record: Record, dns: Dns, now: datetime) -> Record:
    try:
        state, found, reason = _judged(record, dns)
    except LookupFailed as error:
        state, found, reason = "temperror", record.found, str(error)
    since = record.since if record.state == state else now
    return replace(
        record,
        state=state,
        found=tuple(text[:FOUND_MAX_CHARS] for text in found[:FOUND_MAX_COUNT]),
        reason=reason,
        settled=record.settled if state == "temperror" else state,
        since=since,
    )


def _judged(record: Record, dns: Dns) -> Judged:
    if record.type == "MX":
        name = record.name.replace("*", PROBE, 1) if record.name.startswith("*.") else record.name
        return _mx(record, dns.lookup(name, "MX").texts)
    if record.type == "CNAME":
        return _cname(record, dns)
    return _txt(record, dns.lookup(record.name, "TXT").texts)


def _mx(record: Record, found: tuple[str, ...]) -> Judged:
    ours = record.expected.split()[1].lower()
    others = [text for text in found if text.split()[-1].lower() != ours]
    if not found:
        return "missing", found, "no MX record: its mail goes nowhere, or to its address"
    if len(others) == len(found):
        return "mismatch", found, "its mail goes to others"
    if others:
        return "several", found, f"some of its mail goes to {others[0].split()[-1]}"
    return "ok", found, ""


def _cname(record: Record, dns: Dns) -> Judged:
    found = dns.lookup(record.name, "CNAME").texts
    if record.expected.lower() in (text.lower() for text in found):
        return "ok", found, ""
    if found:
        return "mismatch", found, "leads elsewhere"
    addresses = dns.addresses(record.name)
    if not addresses:
        return "missing", (), ""
    # Some DNS services write the addresses of a CNAME's target in its place.
    if set(addresses) <= set(dns.addresses(record.expected)):
        return "ok", addresses, ""
    return "mismatch", addresses, f"has addresses other than {record.expected}'s"


def _txt(record: Record, texts: tuple[str, ...]) -> Judged:
    prefix = _PREFIXES[record.kind]
    found = tuple(text for text in texts if re.match(re.escape(prefix), text.strip(), re.IGNORECASE))
    if not found:
        return "missing", (), ""
    accepted = [text for text in found if _is_accepted(record, text)]
    if record.kind == "ownership":  # others may have theirs beside it
        return ("ok", found, "") if accepted else ("mismatch", found, "another token stands there")
    if len(found) > 1:
        return "several", found, "with more than one, receivers take none of them"
    return ("ok", found, "") if accepted else ("mismatch", found, _ADVICE[record.kind])


_ADVICE = {
    "spf": "add our a: mechanism to the record that is there",
    "dkim": "the key is another",
    "dmarc": "has no p= of none, quarantine or reject",
    "mta-sts": "the policy has changed since: senders learn of it by a new id",
    "tls-rpt": "has no rua= to report to",
}


def _is_accepted(record: Record, text: str) -> bool:
    if record.kind == "spf":
        ours = record.expected.split()[1].lower()
        return ours in (term.lower().lstrip("+") for term in text.split())
    tags, wanted = _tags(text), _tags(record.expected)
    if record.kind == "dkim":
        return tags.get("p") == wanted["p"]
    if record.kind == "dmarc":
        return tags.get("p", "").lower() in ("none", "quarantine", "reject")
    if record.kind == "mta-sts":
        return tags.get("id") == wanted["id"]
    if record.kind == "tls-rpt":
        return bool(tags.get("rua"))
    return text.strip() == record.expected


def _tags(text: str) -> dict[str, str]:
    """Return a tag list (RFC 6376, 3.2), white space taken out of its values."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): "".join(value.split()) for name, _, value in pairs if name.strip()}
