"""
ARC (RFC 8617), decided by dkimpy; believed only from sealers on the operator's list.

A chain says who handled the mail and what they had found. Anyone can seal, so a chain that is valid
proves no more than that; it counts for something where every sealer is known to be honest.
"""

from __future__ import annotations

import binascii
from collections.abc import Collection

import dkim
from mailchute.errors import LookupFailed
from mailchute.verdicts import ArcVerdict

from .dkim_keys import BadKey
from .lookups import Lookups
from .message import Field, Message
from .verifier import SIGNATURE_MAX_OCTETS, BodyHashed, SyntaxFault, has_long_space

SETS_MAX_COUNT = 50  # RFC 8617, 4.2.1
_FIELDS = (b"arc-seal", b"arc-message-signature", b"arc-authentication-results")


def check_chain(message: Message, trusted: Collection[str], lookups: Lookups) -> ArcVerdict:
    """
    Return the state of the mail's ARC chain, and who sealed it.

    Args:
        trusted: Domains whose seals are believed, lower case.

    Raises:
        NotWarm: A key is not in the cache, and only the cache may be asked.
    """
    if not any(name.lower() in _FIELDS for name, _ in message.fields):
        return ArcVerdict()
    verifier = _Chain(message, lookups)
    instance, fields = verifier.sorted_arc_headers()
    if message.fault or instance > SETS_MAX_COUNT or len(fields) > 3 * SETS_MAX_COUNT or _is_oversize(fields):
        return ArcVerdict(result="fail", instance=min(instance, SETS_MAX_COUNT))
    try:
        state, sets, _ = verifier.verify(None)
    except (dkim.DKIMException, SyntaxFault, binascii.Error, LookupError, ValueError):
        state, sets = dkim.CV_Fail, []  # dkimpy trips over some malformed sets: they are no chain
    if state != dkim.CV_Pass:
        if verifier.failed is not None:
            return ArcVerdict(result="temperror", instance=instance, reason=str(verifier.failed))
        return ArcVerdict(result="fail", instance=instance)
    sealers = tuple(one["as-domain"].decode("ascii", "replace").lower() for one in reversed(sets))
    is_trusted = all(sealer in trusted for sealer in sealers)
    return ArcVerdict(result="pass", instance=instance, sealers=sealers, trusted=is_trusted)


def _is_oversize(fields: list[tuple[int, Field]]) -> bool:
    return any(len(value) > SIGNATURE_MAX_OCTETS for _, (_, value) in fields)


class _Chain(BodyHashed, dkim.ARC):  # type: ignore[misc]
    """dkimpy's verifier of a chain; remembers whether the DNS failed it."""

    def __init__(self, message: Message, lookups: Lookups) -> None:
        super().__init__(message, lookups)
        self.failed: LookupFailed | None = None

    def verify_sig(
        self, sig: dict[bytes, bytes], include_headers: list[bytes], sig_header: Field, dnsfunc: object
    ) -> bool:
        """Return whether this signature or seal is valid."""
        if has_long_space(sig_header[1]):
            raise dkim.ValidationError("too much white space")
        try:
            return super().verify_sig(sig, include_headers, sig_header, dnsfunc)
        except LookupFailed as failure:
            self.failed = failure
            return False
        except (BadKey, SyntaxFault) as fault:
            raise dkim.ValidationError(str(fault)) from fault
