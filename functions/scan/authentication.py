"""Everything that can be established about the sender, checked side by side."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

import msgspec
from mailchute.verdicts import (
    ArcVerdict,
    Auth,
    DkimVerdict,
    DmarcVerdict,
    Evidence,
    Result,
    SenderDomain,
    SenderVerdict,
    SpfVerdict,
)

from .alignment import Conclusion, conclude, domain_of
from .arc import check_chain
from .checks import Check, Starting
from .dkim import Signature, check_signature, signatures_of
from .message import Message
from .results import authentication_results
from .reverse import Reverse, check_reverse, check_sender_domain
from .spf import SpfFinding, check_helo, check_mail_from

SIGNATURES_MAX_COUNT = 10  # checked in one mail; chasquid and mox draw the line near here too
SIGNATURES_SHOWN_COUNT = 50  # the rest would only fill the payload
_LATE = "not answered in time"


class Authentication:
    """
    The checks of one mail, under way.

    Args:
        arc_trusted: Domains whose ARC seals are believed.
        now: Unix time in seconds.
    """

    def __init__(
        self, message: Message, checks: Starting, *, arc_trusted: Collection[str], now: float
    ) -> None:
        self._message = message
        self._checks = checks
        path = message.reverse_path
        spf_domain = path.domain if path else message.helo or None
        late = SpfFinding("temperror", spf_domain, f"TXT {spf_domain}: {_LATE}")
        self._spf = checks.start("spf", partial(check_mail_from, message), late)
        self._helo = checks.start(
            "spf-helo", partial(check_helo, message), SpfFinding("temperror", None, _LATE)
        )
        late_name = Reverse("temperror", reason=f"PTR of {message.client_ip}: {_LATE}")
        self._reverse = checks.start("iprev", partial(check_reverse, message.client_ip), late_name)
        self._domain = domain_of(message.author) or (path.domain if path else None)
        self._back = checks.start(
            "sender-domain",
            partial(check_sender_domain, self._domain),
            SenderDomain(domain=self._domain, reason=f"MX {self._domain}: {_LATE}"),
        )
        self._arc = checks.start(
            "arc", partial(check_chain, message, arc_trusted), ArcVerdict(result="temperror", reason=_LATE)
        )
        ordered = sorted(
            signatures_of(message), key=lambda s: not _is_near(s.domain, domain_of(message.author))
        )
        self._unchecked = ordered[SIGNATURES_MAX_COUNT:SIGNATURES_SHOWN_COUNT]
        self._signatures: list[Check[DkimVerdict]] = [
            checks.start(
                "dkim",
                partial(check_signature, message, signature, now),
                _verdict(signature, "temperror", _late_key(signature)),
            )
            for signature in ordered[:SIGNATURES_MAX_COUNT]
        ]

    def reverse(self) -> Reverse:
        return self._reverse.result()

    def verdict(self, authserv_id: str) -> Auth:
        """Return all that was established by now or is by the deadline."""
        message, spf, helo = self._message, self._spf.result(), self._helo.result()
        signatures = [check.result() for check in self._signatures]
        signatures += [_verdict(s, "policy", "not checked: too many signatures") for s in self._unchecked]
        author_domain = domain_of(message.author)
        late = Conclusion(
            DmarcVerdict(
                result="temperror", domain=author_domain, reason=f"TXT _dmarc.{author_domain}: {_LATE}"
            ),
            tuple(signatures),
            SenderVerdict(address=message.author.address),
        )
        conclusion = self._checks.start(
            "dmarc", lambda lookups: conclude(message.author, spf, signatures, lookups), late
        )
        found = conclusion.result()
        auth = Auth(
            sender=msgspec.structs.replace(found.sender, evidence=self._evidence(found, conclusion.evidence)),
            spf=SpfVerdict(
                result=spf.result,
                domain=spf.domain,
                identity="helo" if message.reverse_path is None else "mailfrom",
                helo_result=helo.result,
                reason=spf.reason,
                helo_reason=helo.reason,
            ),
            dkim=found.dkim,
            dmarc=found.dmarc,
            arc=self._arc.result(),
            iprev=self._reverse.result().result,
            sender_domain=self._back.result(),
            iprev_reason=self._reverse.result().reason,
        )
        field = authentication_results(
            auth,
            authserv_id,
            mail_from=str(message.reverse_path or ""),
            helo=message.helo,
            client_ip=message.client_ip,
        )
        return msgspec.structs.replace(auth, authentication_results=field)

    def _evidence(self, found: Conclusion, walked: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
        """Return what the sender's verdict rests on: all that was asked, or what one proof needed."""
        used = list(walked)
        if found.sender.via != "dkim":
            used += self._spf.evidence
        for check in self._signatures:
            verdict = check.result()
            if found.sender.via is None or (
                found.sender.via == "dkim"
                and verdict.result == "pass"
                and verdict.domain == found.sender.domain
            ):
                used += check.evidence
        return tuple({(item.name, item.type): item for item in used}.values())


def _verdict(signature: Signature, result: Result, reason: str) -> DkimVerdict:
    return DkimVerdict(
        result=result,
        domain=signature.domain,
        selector=signature.selector,
        algorithm=signature.algorithm,
        reason=reason,
    )


def _late_key(signature: Signature) -> str:
    return f"TXT {signature.selector}._domainkey.{signature.domain}: {_LATE}"


def _is_near(domain: str | None, author_domain: str | None) -> bool:
    """Say whether a signature is likely to be aligned, and so is looked at first."""
    if domain is None or author_domain is None:
        return False
    return (
        domain == author_domain
        or author_domain.endswith(f".{domain}")
        or domain.endswith(f".{author_domain}")
    )
