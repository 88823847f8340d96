"""
DKIM signatures (RFC 6376, 8301, 8463), decided by dkimpy.

What dkimpy does not look at is looked at here, before and after: docs/rfcs.md lists it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import dkim
import dkim.util
from mailchute.errors import LookupFailed
from mailchute.verdicts import DkimVerdict, Result

from .dkim_keys import BadKey, WeakKey
from .lookups import Lookups
from .message import Message
from .verifier import SIGNATURE_FIELD, SIGNATURE_MAX_OCTETS, SyntaxFault, Verifier, word_of

CLOCK_SKEW_S = 300  # between their clock and ours

# RFC 5322, 3.6 and RFC 2045: at most one of each, so a second one is not what was signed.
SINGLE_FIELDS = frozenset(
    b"from sender reply-to to cc message-id in-reply-to references subject date"
    b" mime-version content-type content-transfer-encoding".split()
)


@dataclass(frozen=True)
class Signature:
    """One DKIM-Signature field, before it is verified."""

    place: int  # of the field, among all of the mail's
    domain: str | None  # d=, lower case; None when it names none
    selector: str | None
    algorithm: str | None
    tags: Mapping[bytes, bytes] | None  # None: it is no tag list


def signatures_of(message: Message) -> list[Signature]:
    """Return the mail's signatures in their order, readable or not."""
    return [
        _signature(place, message.fields[place][1])
        for place, name in enumerate(message.names)
        if name == SIGNATURE_FIELD
    ]


def check_signature(message: Message, signature: Signature, now: float, lookups: Lookups) -> DkimVerdict:
    """
    Return what is to be made of one signature.

    Args:
        now: Unix time in seconds.

    Raises:
        NotWarm: The key is not in the cache, and only the cache may be asked.
    """
    result, reason = _judge(message, signature, lookups, now)
    return DkimVerdict(
        result=result,
        domain=signature.domain,
        selector=signature.selector,
        algorithm=signature.algorithm,
        reason=reason,
    )


def _signature(place: int, value: bytes) -> Signature:
    try:
        tags = dkim.util.parse_tag_value(value) if len(value) <= SIGNATURE_MAX_OCTETS else None
    except dkim.util.InvalidTagValueList:
        tags = None
    named = tags or {}
    return Signature(place, word_of(named, b"d"), word_of(named, b"s"), word_of(named, b"a"), tags)


def _judge(message: Message, signature: Signature, lookups: Lookups, now: float) -> tuple[Result, str | None]:
    if message.fault is not None:
        return "permerror", message.fault
    verifier = Verifier(message, lookups)
    try:
        sig, names, field = verifier.prepared(signature.place, signature.tags)
        if fault := _fault_of(sig, names, now):
            return fault
        is_valid = verifier.verify_sig(sig, names, field, None)
    except LookupFailed as failure:
        return "temperror", str(failure)
    except WeakKey as weak:
        return "fail", str(weak)  # RFC 8301, 3.2
    except (BadKey, SyntaxFault) as fault_found:
        return "permerror", str(fault_found)
    except dkim.ValidationError as error:
        return ("fail" if "mismatch" in str(error) else "permerror"), _shown(error)
    except (dkim.DKIMException, ValueError) as error:
        return "permerror", _shown(error)
    if not is_valid:
        return "fail", "the signature does not verify"
    return _reservations(message, verifier, sig, names)


def _fault_of(sig: dict[bytes, bytes], names: list[bytes], now: float) -> tuple[Result, str] | None:
    if b"from" not in names:
        return "permerror", "From is not signed"  # RFC 6376, 5.4
    if sig[b"a"] == b"rsa-sha1":
        return "fail", "rsa-sha1 proves nothing"  # RFC 8301, 3.1
    if b"x" in sig and now > int(sig[b"x"]) + CLOCK_SKEW_S:
        return "fail", "the signature has expired"  # RFC 6376, 3.5
    if b"t" in sig and int(sig[b"t"]) > now + CLOCK_SKEW_S:
        return "fail", "the signature is from the future"
    return None


def _reservations(
    message: Message, verifier: Verifier, sig: dict[bytes, bytes], names: list[bytes]
) -> tuple[Result, str | None]:
    """Return pass, or policy for a signature that is valid and does not vouch for what readers see."""
    assert verifier.key is not None
    if verifier.key.is_testing:
        return "policy", "the key is for testing (t=y): as if unsigned"  # RFC 6376, 3.6.1
    if b"l" in sig and int(sig[b"l"]) < verifier.body_octets:
        return "policy", "text follows what is signed (l=)"  # RFC 6376, 8.2
    for name in SINGLE_FIELDS.intersection(names):
        if message.names.count(name) > max(1, names.count(name)):
            shown = name.decode().title()
            return "policy", f"{shown} stands more often than it is signed"  # RFC 6376, 8.15
    return "pass", None


def _shown(error: Exception) -> str:
    """Return dkimpy's words without what came from the mail."""
    return str(error).partition("(")[0].strip()[:100] or type(error).__name__
