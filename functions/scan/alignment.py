"""DMARC's conclusion (RFC 9989, 5.3), and from it who really sent the mail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import idna
import msgspec
from mailchute.author import Author
from mailchute.errors import LookupFailed
from mailchute.verdicts import Alignment, DkimVerdict, DmarcVerdict, SenderVerdict

from .dmarc import Found, Record, discover, is_aligned
from .lookups import Lookups
from .spf import SpfFinding


@dataclass(frozen=True)
class Conclusion:
    """What the authenticated identifiers say about the author."""

    dmarc: DmarcVerdict
    dkim: tuple[DkimVerdict, ...]  # as given, with `aligned` set
    sender: SenderVerdict


def domain_of(author: Author) -> str | None:
    """Return the author's domain in ASCII; None when there is no one domain to speak of."""
    domain = author.domain
    if domain is None or domain.startswith("["):
        return None
    try:
        return domain if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return None


def conclude(
    author: Author, spf: SpfFinding, signatures: Sequence[DkimVerdict], lookups: Lookups
) -> Conclusion:
    """Return DMARC's verdict and the sender's; asks for the policy and the organizational domains."""
    domain = domain_of(author)
    if domain is None:
        reason = author.reason or "the author's address has no domain name"
        dmarc = DmarcVerdict(result="permerror" if author.is_ambiguous else "none", reason=reason)
        return Conclusion(dmarc, tuple(signatures), SenderVerdict(address=author.address))
    failures: list[str] = []
    found: Found | None = None
    try:
        found = lookups.recall(("dmarc", domain), partial(discover, domain))
    except LookupFailed as failure:
        failures.append(str(failure))
    aligner = _Aligner(domain, found.record if found else None, lookups, failures)
    judged = tuple(
        msgspec.structs.replace(signature, aligned=aligner.has(signature.domain, "adkim"))
        for signature in signatures
    )
    spf_aligned = aligner.has(spf.domain, "aspf")
    alignment = Alignment(
        spf=spf.result == "pass" and spf_aligned,
        dkim=any(signature.aligned and signature.result == "pass" for signature in judged),
    )
    is_unsure = bool(failures) or (spf_aligned and spf.result == "temperror")
    is_unsure = is_unsure or any(s.aligned and s.result == "temperror" for s in judged)
    dmarc = _verdict(domain, found, alignment, failures, is_unsure=is_unsure)
    return Conclusion(dmarc, judged, _sender(author, domain, spf, judged, alignment))


@dataclass(frozen=True)
class _Aligner:
    author_domain: str
    record: Record | None
    lookups: Lookups
    failures: list[str]

    def has(self, domain: str | None, tag: str) -> bool:
        """Say whether this identifier's domain is aligned; what cannot be found out is not."""
        if domain is None:
            return False
        is_strict = self.record is not None and self.record.is_strict("adkim" if tag == "adkim" else "aspf")
        try:
            return is_aligned(self.author_domain, domain, is_strict=is_strict, lookups=self.lookups)
        except LookupFailed as failure:
            self.failures.append(str(failure))
            return False


def _verdict(
    domain: str, found: Found | None, alignment: Alignment, failures: list[str], *, is_unsure: bool
) -> DmarcVerdict:
    if found is None:
        return DmarcVerdict(result="temperror", domain=domain, aligned=alignment, reason=failures[0])
    org_domain = found.walk.org_domain
    if found.policy is None:
        lacking = "no DMARC record" if found.record is None else "the DMARC record has no usable policy"
        return DmarcVerdict(domain=domain, org_domain=org_domain, aligned=alignment, reason=lacking)
    is_met = alignment.spf or alignment.dkim
    reason: str | None = None
    if not is_met:
        reason = "no aligned identifier passed"
        if is_unsure:
            reason = failures[0] if failures else "an aligned identifier could not be checked"
    return DmarcVerdict(
        result="pass" if is_met else "temperror" if is_unsure else "fail",
        domain=domain,
        org_domain=org_domain,
        policy=found.policy,
        aligned=alignment,
        reason=reason,
    )


def _sender(
    author: Author, domain: str, spf: SpfFinding, signatures: Sequence[DkimVerdict], alignment: Alignment
) -> SenderVerdict:
    if alignment.dkim:
        vouching = [s.domain for s in signatures if s.aligned and s.result == "pass"]
        best = domain if domain in vouching else vouching[0]
        return SenderVerdict(authenticated=True, address=author.address, via="dkim", domain=best)
    if alignment.spf:
        return SenderVerdict(authenticated=True, address=author.address, via="spf", domain=spf.domain)
    return SenderVerdict(address=author.address)
