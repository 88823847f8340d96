"""
dkimpy bent to us: the one place, for DKIM and ARC; docs/rfcs.md lists what it gets wrong.

It is given header fields and body hashes that were cut and computed once for all signatures, and
keys that verify by themselves. That a signature is valid is still dkimpy's word.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Callable, Mapping

import dkim
from dkim.canonicalization import CanonicalizationPolicy, InvalidCanonicalizationPolicyError, Relaxed

from .dkim_keys import BadKey, Key, key_of
from .lookups import Lookups
from .message import Field, Message, relaxed

SIGNATURE_MAX_OCTETS = 16 * 1024
SIGNED_NAMES_MAX_COUNT = 500  # in one h=
KEY_RECORDS_MAX_COUNT = 3  # tried; what several mean is undefined (RFC 6376, 3.6.2.2)
SIGNATURE_FIELD = b"dkim-signature"

_QUIET = logging.Logger("dkimpy")  # dkimpy tells pieces of the mail to its log
_QUIET.disabled = True
_WORD = re.compile(rb"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")  # a domain or selector
_B_VALUE = re.compile(rb"([;\s]b\s*+=)(?:\s*+[a-zA-Z0-9+/=]++)*+(?:\r?\n\Z)?")
_LONG_SPACE = re.compile(rb"\s{100}")  # dkimpy's expressions crawl over long runs of white space


class SyntaxFault(ValueError):
    """The signature breaks a rule that dkimpy does not check."""


class BodyHashed:
    """What dkimpy's DKIM and ARC verifiers have in common here: keys and body hashes of ours."""

    key: Key | None
    body_octets: int  # of the canonical body last hashed

    def __init__(self, message: Message, lookups: Lookups) -> None:
        super().__init__(logger=_QUIET)  # type: ignore[call-arg]
        self._message = message
        self.headers: list[Field] = message.fields
        self._lookups = lookups
        self.key = None
        self.body_octets = 0

    def verify_sig(
        self, sig: dict[bytes, bytes], include_headers: list[bytes], sig_header: Field, dnsfunc: object
    ) -> bool:
        """Return whether this signature is valid; dkimpy's own step, with keys of ours."""
        keys = self._keys_of(sig)
        try:
            policy = CanonicalizationPolicy.from_c_value(sig.get(b"c"))
        except InvalidCanonicalizationPolicyError:
            raise SyntaxFault("c= is unknown") from None
        self._check_body(sig, is_relaxed=policy.body_algorithm is Relaxed)
        # What is in relaxed form already and has no b= any more is simple to dkimpy: the same octets.
        rest = {tag: value for tag, value in sig.items() if tag not in (b"bh", b"c")}
        name, value = sig_header
        sig_header = name, without_b(value)
        is_relaxed = policy.header_algorithm is Relaxed
        if is_relaxed:
            sig_header = relaxed(name.lower().rstrip(), sig_header[1])
        self.headers = self._signed_fields(set(include_headers), is_relaxed=is_relaxed)
        try:
            for key in keys:
                # Under this tag dkimpy lets the key object verify by itself: RSA by OpenSSL, not in Python.
                self.key, self.pk, self.ktag = key, key, b"ed25519"
                if self.verify_sig_process(rest, list(include_headers), sig_header, dnsfunc):
                    return True
            return False
        finally:
            self.headers = self._message.fields

    def _signed_fields(self, wanted: set[bytes], *, is_relaxed: bool) -> list[Field]:
        message = self._message
        places = [place for place, name in enumerate(message.names) if name in wanted]
        if is_relaxed:
            return [message.relaxed_field(place) for place in places]
        return [message.fields[place] for place in places]

    verify_sig_process: Callable[..., object]

    def _keys_of(self, sig: dict[bytes, bytes]) -> list[Key]:
        """Return the keys that may have made this signature: one, where the zone is in order."""
        domain, selector = word_of(sig, b"d"), word_of(sig, b"s")
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

    def _check_body(self, sig: dict[bytes, bytes], *, is_relaxed: bool) -> None:
        if b"bh" not in sig:
            return  # an ARC-Seal has no body hash
        length = int(sig[b"l"]) if b"l" in sig else None
        digest, self.body_octets = self._message.body.digest(is_relaxed=is_relaxed, length=length)
        if length is not None and length > self.body_octets:
            raise SyntaxFault("l= is more than the body has")  # RFC 6376, 3.5
        if digest != base64.b64decode(b"".join(sig[b"bh"].split())):
            raise dkim.ValidationError("body hash mismatch")


class Verifier(BodyHashed, dkim.DKIM):  # type: ignore[misc]
    """dkimpy's verifier of one mail's signatures."""

    def prepared(
        self, place: int, tags: Mapping[bytes, bytes] | None
    ) -> tuple[dict[bytes, bytes], list[bytes], Field]:
        """
        Return the tags, the signed names in lower case, and the field of one signature.

        Args:
            place: Of the field, among all of the mail's.
            tags: What stands in it, read; None when it is no tag list.

        Raises:
            dkim.DKIMException, SyntaxFault: It is no signature.
        """
        field = self._message.fields[place]
        if len(field[1]) > SIGNATURE_MAX_OCTETS or has_long_space(field[1]):
            raise SyntaxFault("the signature is too long")
        if tags is None:
            raise SyntaxFault("the signature is no tag list")
        sig = dict(tags)
        methods = sig.pop(b"q", b"dns/txt").replace(b" ", b"").lower().split(b":")
        if b"dns/txt" not in methods:
            raise SyntaxFault("q= names no way to the key")
        dkim.validate_signature_fields(sig)
        names = [name.lower() for name in re.split(rb"\s*:\s*", sig[b"h"])]
        if len(names) > SIGNED_NAMES_MAX_COUNT:
            raise SyntaxFault("h= names too many fields")
        return sig, names, field


def without_b(value: bytes) -> bytes:
    """Return a signature's field without what stands in b=: what dkimpy's own expression leaves."""
    return _B_VALUE.sub(rb"\1", value)


def word_of(tags: Mapping[bytes, bytes], tag: bytes) -> str | None:
    value = tags.get(tag, b"")
    return value.decode("ascii").lower() if _WORD.fullmatch(value) else None


def has_long_space(value: bytes) -> bool:
    """Say whether a field has more white space in one place than folding ever needs."""
    return _LONG_SPACE.search(value) is not None
