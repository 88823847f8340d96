"""The DNS records that a domain of ours needs, and what a check made of each."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal

import msgspec

State = Literal["unchecked", "ok", "missing", "mismatch", "several", "temperror"]
Type = Literal["MX", "TXT", "CNAME"]

OWNERSHIP_PREFIX = "mailchute-verify="
MX_PREFERENCE = 10
POLICY_AGE_S = 604_800  # RFC 8461, 3.2: "weeks or greater" once all is well
RECORDS_WITH_ONE_VALUE = ("spf", "dmarc", "mta-sts", "tls-rpt", "dkim")  # a second one makes them void


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One record: what is to be set, and what was found."""

    kind: str  # mx, ownership, spf, dkim, dmarc, mta-sts, mta-sts-host, tls-rpt, bounce, auto…
    name: str  # in full, without the final dot
    type: Type
    expected: str  # MX: "10 host"; TXT: the text; CNAME: the host
    is_required: bool = False  # mail for the domain, or its ownership, hangs on it
    state: State = "unchecked"
    found: tuple[str, ...] = ()  # what the DNS has there that could be meant
    reason: str = ""  # temperror: what failed; else what to do, where something is
    settled: State = "unchecked"  # the last state that was an answer: what a regress is measured by
    since: datetime | None = None  # of this state


def wanted_records(
    domain: str, *, hostname: str, token: str, selector: str, dkim_record: str, requires_tls: bool
) -> tuple[Record, ...]:
    """
    Return the records to set for a domain, those it cannot do without first.

    Args:
        domain: As it is kept. "*.inbox.example" takes mail for the names below; all but its MX are
            inbox.example's own.
        hostname: MAILCHUTE_HOSTNAME: where its mail comes in.
        dkim_record: The TXT text of the key whose private half lies sealed here.
    """
    base = domain.removeprefix("*.")
    policy_id = hashlib.sha256(policy_of(hostname, requires_tls=requires_tls).encode()).hexdigest()[:16]
    texts = (
        ("spf", base, f"v=spf1 a:{hostname} ~all"),
        ("dkim", f"{selector}._domainkey.{base}", dkim_record),
        ("dmarc", f"_dmarc.{base}", "v=DMARC1; p=none"),
        ("mta-sts", f"_mta-sts.{base}", f"v=STSv1; id={policy_id}"),
        ("tls-rpt", f"_smtp._tls.{base}", f"v=TLSRPTv1; rua=mailto:postmaster@{base}"),
    )
    hosts = (
        ("mta-sts-host", f"mta-sts.{base}"),
        ("bounce", f"bounce.{base}"),
        ("autoconfig", f"autoconfig.{base}"),
        ("autodiscover", f"autodiscover.{base}"),
    )
    return (
        Record(kind="mx", name=domain, type="MX", expected=f"{MX_PREFERENCE} {hostname}", is_required=True),
        Record(
            kind="ownership", name=f"_mailchute.{base}", type="TXT", expected=f"{OWNERSHIP_PREFIX}{token}",
            is_required=True,
        ),
        *(Record(kind=kind, name=name, type="TXT", expected=text) for kind, name, text in texts),
        *(Record(kind=kind, name=name, type="CNAME", expected=hostname) for kind, name in hosts),
    )  # fmt: skip


def policy_of(hostname: str, *, requires_tls: bool) -> str:
    """
    Return the MTA-STS policy of a domain (RFC 8461, 3.2).

    Its owner's `tls: required` makes it `enforce`: who cannot speak TLS is then refused on both sides.
    """
    mode = "enforce" if requires_tls else "testing"
    return f"version: STSv1\r\nmode: {mode}\r\nmx: {hostname}\r\nmax_age: {POLICY_AGE_S}\r\n"


def is_verified(records: tuple[Record, ...]) -> bool:
    """Say whether all that a domain cannot do without was found when the DNS last answered."""
    return bool(records) and all(one.settled == "ok" for one in records if one.is_required)
