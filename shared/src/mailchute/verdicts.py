"""What scan concludes about a mail, in the shape the payload shows it (results: RFC 8601)."""

from __future__ import annotations

from typing import Literal

import msgspec

Result = Literal[
    "none", "pass", "fail", "neutral", "softfail", "policy", "temperror", "permerror"
]  # RFC 8601, 2.7


class Evidence(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One DNS answer a verdict rests on, so that it can be derived again."""

    name: str
    type: str  # "TXT", "A", …
    answers: tuple[str, ...]  # empty: the name or type does not exist
    error: str | None = None  # "timeout", "servfail"; None when there was an answer
    exists: bool = True  # False: there is no such name at all (NXDOMAIN), of whatever type


class SenderVerdict(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who really sent it: the answer people need."""

    authenticated: bool = False
    address: str | None = None  # the one RFC5322.From address; None when there is not exactly one
    via: Literal["dkim", "spf"] | None = None  # None when not authenticated
    domain: str | None = None  # the aligned domain that vouches for the address
    evidence: tuple[Evidence, ...] = ()


class SpfVerdict(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """SPF (RFC 7208) of the identity that decides: MAIL FROM, or HELO for the null reverse-path."""

    result: Result = "none"
    domain: str | None = None
    identity: Literal["mailfrom", "helo"] = "mailfrom"
    helo_result: Result = "none"  # of the HELO identity, always looked at by itself
    reason: str | None = None  # why not pass
    helo_reason: str | None = None  # why the HELO identity did not pass


class DkimVerdict(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One DKIM signature (RFC 6376)."""

    result: Result
    domain: str | None = None  # d=
    selector: str | None = None  # s=
    algorithm: str | None = None  # a=
    aligned: bool = False  # d= shares the organizational domain of RFC5322.From
    reason: str | None = None  # why not pass; None when it passed


class Alignment(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the two underlying methods passed with an aligned domain."""

    spf: bool = False
    dkim: bool = False


class DmarcVerdict(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """DMARC (RFC 9989)."""

    result: Result = "none"
    domain: str | None = None  # of RFC5322.From
    org_domain: str | None = None  # found by the tree walk
    policy: Literal["none", "quarantine", "reject"] | None = None  # None: no record
    aligned: Alignment = Alignment()
    reason: str | None = None


class ArcVerdict(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """ARC (RFC 8617): the chain's state, and who sealed it, newest last."""

    result: Result = "none"
    instance: int = 0  # the highest i=; 0 when there is no chain
    sealers: tuple[str, ...] = ()
    trusted: bool = False  # every sealer stands on the operator's list
    reason: str | None = None  # temperror: what the DNS did not say


class SenderDomain(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the sender's domain could be written back to (RFC 5321, 5.1; RFC 7505)."""

    domain: str | None = None  # of RFC5322.From, else of the reverse-path; None when there is neither
    mx: bool | None = None  # it has MX records, or an address instead; None: the DNS did not say
    null: bool = False  # it says that it takes no mail (null MX)
    reason: str | None = None  # why that is not known


class Auth(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All that was established about the sender."""

    sender: SenderVerdict = SenderVerdict()
    spf: SpfVerdict = SpfVerdict()
    dkim: tuple[DkimVerdict, ...] = ()
    dmarc: DmarcVerdict = DmarcVerdict()
    arc: ArcVerdict = ArcVerdict()
    iprev: Result = "none"  # forward-confirmed PTR (RFC 8601, 2.7.3)
    authentication_results: str = ""  # our own field body (RFC 8601), never taken from the mail
    sender_domain: SenderDomain = SenderDomain()
    iprev_reason: str | None = None  # temperror: what the DNS did not say


class Symbol(msgspec.Struct, frozen=True, kw_only=True):
    """One rule that hit."""

    name: str
    score: float
    description: str = ""


class Spam(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How much it looks like spam. Compare `score`; `probability` is for people."""

    is_spam: bool  # score ≥ threshold
    score: float  # Rspamd's scale: 0 and below is clean, 15 is certain
    threshold: float
    probability: float  # 0..1, 0.5 at the threshold, monotone in the score
    engine: str  # "builtin", "rspamd", "none"
    action: str  # Rspamd's words: "no action", "greylist", "add header", "reject", …
    symbols: tuple[Symbol, ...] = ()


class Virus(msgspec.Struct, frozen=True, kw_only=True):
    """What the virus scanner said."""

    engine: str  # "clamav"
    infected: bool
    names: tuple[str, ...] = ()


class Security(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Facts that make a mail unsafe to take at face value."""

    virus: Virus | None = None  # None: no scanner configured, or it did not answer
    degraded: bool = False  # parsing hit a limit or failed: the raw mail is attached or linked
    limits: tuple[str, ...] = ()  # which limits were hit, by name
    from_ambiguous: bool = False  # 0 or 2+ From, or a From that two parsers read differently


class ScanReport(msgspec.Struct, frozen=True, kw_only=True):
    """scan's answer."""

    version: int = 1
    auth: Auth = Auth()
    spam: Spam | None = None  # None: switched off for this account
    security: Security = Security()
    ptr: str | None = None  # the client's name, when its PTR is forward-confirmed
