"""
DKIM signatures (RFC 6376, 8301, 8463), decided by dkimpy.

The one place where dkimpy is bent to us; docs/rfcs.md lists what it gets wrong. It is given header
fields and body hashes that were cut and computed once for all signatures, and keys that verify by
themselves; what it does not look at is looked at before and after.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import dkim
import dkim.util
from mailchute.errors import LookupFailed
from mailchute.verdicts import DkimVerdict, Result

from .body import Body
from .dkim_keys import BadKey, Key, WeakKey, key_of
from .lookups import Lookups
from .message import Field, Message

SIGNATURE_MAX_OCTETS = 16 * 1024
SIGNED_NAMES_MAX_COUNT = 500  # in one h=
CLOCK_SKEW_S = 300  # between their clock and ours
KEY_RECORDS_MAX_COUNT = 3  # tried; what several mean is undefined (RFC 6376, 3.6.2.2)

# RFC 5322, 3.6 and RFC 2045: at most one of each, so a second one is not what was signed.
SINGLE_FIELDS = frozenset(
    b"from sender reply-to to cc message-id in-reply-to references subject date"
    b" mime-version content-type content-transfer-encoding".split()
)
QUIET = logging.Logger("dkimpy")  # dkimpy tells pieces of the mail to its log
QUIET.disabled = True

_FIELD = b"dkim-signature"
_WORD = re.compile(rb"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")  # a domain or selector
_LONG_SPACE = re.compile(rb"\s{100}")  # dkimpy's expressions crawl over long runs of white space


@dataclass(frozen=True)
class Signature:
    """One DKIM-Signature field, before it is verified."""

    index: int  # among the mail's DKIM-Signature fields, topmost is 0
    domain: str | None  # d=, lower case; None when it names none
    selector: str | None
    algorithm: str | None
    value: bytes  # of the field, as it stands
    tags: Mapping[bytes, bytes] | None  # None: it is no tag list


def signatures_of(message: Message) -> list[Signature]:
    """Return the mail's signatures in their order, readable or not."""
    return [_signature(index, value) for index, value in enumerate(message.values(_FIELD))]


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


def _signature(index: int, value: bytes) -> Signature:
    try:
        tags = dkim.util.parse_tag_value(value) if len(value) <= SIGNATURE_MAX_OCTETS else None
    except dkim.util.InvalidTagValueList:
        tags = None
    named = tags or {}
    return Signature(index, _word(named, b"d"), _word(named, b"s"), _word(named, b"a"), value, tags)


def _word(tags: Mapping[bytes, bytes], tag: bytes) -> str | None:
    value = tags.get(tag, b"")
    return value.decode("ascii").lower() if _WORD.fullmatch(value) else None


def _judge(message: Message, signature: Signature, lookups: Lookups, now: float) -> tuple[Result, str | None]:
    if message.fault is not None:
        return "permerror", message.fault
    verifier = Verifier(message, lookups)
    try:
        sig, names, field = verifier.prepared(signature)
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
    present = [name.lower().rstrip() for name, _ in message.fields]
    for name in SINGLE_FIELDS.intersection(names):
        if present.count(name) > max(1, names.count(name)):
            shown = name.decode().title()
            return "policy", f"{shown} stands more often than it is signed"  # RFC 6376, 8.15
    return "pass", None


class SyntaxFault(ValueError):
    """The signature breaks a rule that dkimpy does not check."""


class BodyHashed:
    """What dkimpy's DKIM and ARC verifiers have in common here: keys and body hashes of ours."""

    key: Key | None
    body_octets: int  # of the canonical body last hashed

    def open(self, message: Message, lookups: Lookups) -> None:
        """Take the message that is cut already, in place of dkimpy's own cutting."""
        self._all_fields: list[Field] = message.fields
        self.headers: list[Field] = message.fields
        self._body: Body = message.body
        self._lookups = lookups
        self.key = None
        self.body_octets = 0

    def verify_sig(
        self, sig: dict[bytes, bytes], include_headers: list[bytes], sig_header: Field, dnsfunc: object
    ) -> bool:
        """Return whether this signature is valid; dkimpy's own step, with keys of ours."""
        keys = self._keys_of(sig)
        self._check_body(sig)
        wanted = set(include_headers)
        self.headers = [field for field in self._all_fields if field[0].lower().rstrip() in wanted]
        without_hash = {tag: value for tag, value in sig.items() if tag != b"bh"}
        try:
            for key in keys:
                # Under this tag dkimpy lets the key object verify by itself: RSA by OpenSSL, not in Python.
                self.key, self.pk, self.ktag = key, key, b"ed25519"
                if self.verify_sig_process(without_hash, list(include_headers), sig_header, dnsfunc):
                    return True
            return False
        finally:
            self.headers = self._all_fields

    verify_sig_process: Callable[..., object]

    def _keys_of(self, sig: dict[bytes, bytes]) -> list[Key]:
        """Return the keys that may have made this signature: one, where the zone is in order."""
        domain, selector = _word(sig, b"d"), _word(sig, b"s")
        if domain is None or selector is None:
            raise SyntaxFault("d= or s= is no domain name")
        records = self._lookups.lookup(f"{selector}._domainkey.{domain}", "TXT").texts
        identity = sig.get(b"i", b"").rpartition(b"@")[2].decode("latin-1").lower()
        keys, fault = [], BadKey("there is no key")
        for record in records[:KEY_RECORDS_MAX_COUNT]:
            try:
                key = key_of(record)
            except BadKey as bad:
                fault = bad
                continue
            if sig[b"a"].partition(b"-")[0] != key.algorithm.encode():
                fault = BadKey("the key is not of the signature's algorithm")
            elif key.is_strict and identity not in ("", domain):
                fault = BadKey("i= is not the very domain (t=s)")  # RFC 6376, 3.6.1
            else:
                keys.append(key)
        if not keys:
            raise fault
        return keys

    def _check_body(self, sig: dict[bytes, bytes]) -> None:
        if b"bh" not in sig:
            return  # an ARC-Seal has no body hash
        _, _, body_form = sig.get(b"c", b"simple/simple").partition(b"/")
        length = int(sig[b"l"]) if b"l" in sig else None
        digest, self.body_octets = self._body.digest(is_relaxed=body_form == b"relaxed", length=length)
        if length is not None and length > self.body_octets:
            raise SyntaxFault("l= is more than the body has")  # RFC 6376, 3.5
        if digest != base64.b64decode(b"".join(sig[b"bh"].split())):
            raise dkim.ValidationError("body hash mismatch")


class Verifier(BodyHashed, dkim.DKIM):  # type: ignore[misc]
    """dkimpy's verifier of one mail's signatures."""

    def __init__(self, message: Message, lookups: Lookups) -> None:
        super().__init__(logger=QUIET)
        self.open(message, lookups)

    def prepared(self, signature: Signature) -> tuple[dict[bytes, bytes], list[bytes], Field]:
        """
        Return the tags, the signed names in lower case, and the field of one signature.

        Raises:
            dkim.DKIMException, SyntaxFault: It is no signature.
        """
        if len(signature.value) > SIGNATURE_MAX_OCTETS or has_long_space(signature.value):
            raise SyntaxFault("the signature is too long")
        if signature.tags is None:
            raise SyntaxFault("the signature is no tag list")
        fields = [field for field in self._all_fields if field[0].lower().rstrip() == _FIELD]
        sig, field = dict(signature.tags), fields[signature.index]
        methods = sig.pop(b"q", b"dns/txt").replace(b" ", b"").lower().split(b":")
        if b"dns/txt" not in methods:
            raise SyntaxFault("q= names no way to the key")
        dkim.validate_signature_fields(sig)
        names = [name.lower() for name in re.split(rb"\s*:\s*", sig[b"h"])]
        if len(names) > SIGNED_NAMES_MAX_COUNT:
            raise SyntaxFault("h= names too many fields")
        return sig, names, field


def has_long_space(value: bytes) -> bool:
    """Say whether a field has more white space in one place than folding ever needs."""
    return _LONG_SPACE.search(value) is not None


def _shown(error: Exception) -> str:
    """Return dkimpy's words without what came from the mail."""
    return str(error).partition("(")[0].strip()[:100] or type(error).__name__
