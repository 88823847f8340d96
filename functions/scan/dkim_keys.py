"""DKIM key records (RFC 6376, 3.6.1), read once for all mails signed with them."""

from __future__ import annotations

import base64
import binascii
import functools
from dataclasses import dataclass

import dkim.util
import nacl.exceptions
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

RSA_MIN_BITS = 1024  # RFC 8301, 3.2
RSA_MAX_BITS = 4096  # RFC 8301, 3.2: what verifiers must validate; beyond, work for the asking
RSA_EXPONENT_MAX_BITS = 32
KEPT_COUNT = 4_096  # keys read, by their record

_WEAK = "the key is too weak"
_SHA256 = Prehashed(hashes.SHA256())
_PKCS1 = padding.PKCS1v15()


class BadKey(ValueError):
    """The key record cannot be used; its text says why."""


class WeakKey(BadKey):
    """The key is too short to prove anything (RFC 8301, 3.2)."""


@dataclass(frozen=True)
class Key:
    """A public key, and what its owner says about its use."""

    algorithm: str  # "rsa", "ed25519"
    public: rsa.RSAPublicKey | ed25519.Ed25519PublicKey
    is_strict: bool  # t=s: i= must name the very domain
    is_testing: bool  # t=y

    def verify(self, digest: bytes, signature: bytes) -> None:
        """
        Accept a signature over this SHA-256 digest.

        Raises:
            nacl.exceptions.BadSignatureError: It is none; dkimpy expects this very error.
        """
        try:
            if isinstance(self.public, rsa.RSAPublicKey):
                self.public.verify(signature, digest, _PKCS1, _SHA256)
            else:
                self.public.verify(signature, digest)
        except InvalidSignature:
            raise nacl.exceptions.BadSignatureError("the signature does not verify") from None


def key_of(record: str) -> Key:
    """
    Return the key of a TXT record.

    Raises:
        BadKey: It holds none that may be used.
        WeakKey: It holds one that proves nothing.
    """
    found = _read(record)
    if isinstance(found, Key):
        return found
    raise (WeakKey if found.startswith(_WEAK) else BadKey)(found)


@functools.lru_cache(maxsize=KEPT_COUNT)
def _read(record: str) -> Key | str:
    try:
        tags = dkim.util.parse_tag_value(record.encode("latin-1"))
    except dkim.util.InvalidTagValueList:
        return "the key record is no tag list"
    if fault := _fault_of(tags):
        return fault
    flags = tags.get(b"t", b"").replace(b" ", b"").split(b":")
    algorithm = tags.get(b"k", b"rsa").decode("ascii", "replace")
    try:
        octets = base64.b64decode(b"".join(tags[b"p"].split()), validate=True)
        public = _public_key(algorithm, octets)
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return "the public key cannot be read"
    if isinstance(public, str):
        return public
    return Key(algorithm, public, is_strict=b"s" in flags, is_testing=b"y" in flags)


def _fault_of(tags: dict[bytes, bytes]) -> str | None:
    if tags.get(b"v", b"DKIM1") != b"DKIM1":
        return "the key record has another version"
    if b"p" not in tags:
        return "the key record has no key"
    if not tags[b"p"]:
        return "the key is revoked"
    services = tags.get(b"s", b"*").replace(b" ", b"").split(b":")
    if b"*" not in services and b"email" not in services:
        return "the key is not for mail (s=)"
    if b"h" in tags and b"sha256" not in tags[b"h"].replace(b" ", b"").split(b":"):
        return "the key does not allow sha256 (h=)"
    return None


def _public_key(algorithm: str, octets: bytes) -> rsa.RSAPublicKey | ed25519.Ed25519PublicKey | str:
    if algorithm == "ed25519":
        return ed25519.Ed25519PublicKey.from_public_bytes(octets)  # RFC 8463, 3
    if algorithm != "rsa":
        return "the key is of an unknown kind (k=)"
    public = serialization.load_der_public_key(octets)  # SubjectPublicKeyInfo, or bare RSAPublicKey
    if not isinstance(public, rsa.RSAPublicKey):
        return "the public key is not RSA"
    if public.key_size < RSA_MIN_BITS:
        return f"{_WEAK}: {public.key_size} bits"
    if public.key_size > RSA_MAX_BITS or public.public_numbers().e.bit_length() > RSA_EXPONENT_MAX_BITS:
        return f"the key is too big: {public.key_size} bits"
    return public
