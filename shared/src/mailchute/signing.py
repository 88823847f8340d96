"""
Signatures that let a receiver trust a POST.

Standard Webhooks 1.0.0 (https://www.standardwebhooks.com, "Signature scheme"): `v1` is HMAC-SHA256 and `v1a`
is Ed25519, both over `id.timestamp.body`. X-EmailConnect-Signature is HMAC-SHA256 over the body alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from mailchute.errors import SecretUnreadable
from mailchute.settings import Reader

SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix, no secret
PUBLIC_PREFIX = "whpk_"
SECRET_OCTETS = 32  # Standard Webhooks, "Signature scheme": 24 to 64 octets
RSA_BITS = 2_048  # RFC 7518, 3.3: or larger

PrivateKey = RSAPrivateKey | Ed25519PrivateKey


def new_secret() -> str:
    """Return a new secret, `whsec_` and base64, as its owner will see it."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_OCTETS)).decode()


def key_of(secret: str) -> bytes:
    """Return the key octets of a secret: what `whsec_` encodes, or the UTF-8 octets of any other text."""
    if secret.startswith(SECRET_PREFIX):
        encoded = secret[len(SECRET_PREFIX) :]
        try:
            return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True) or secret.encode()
        except (binascii.Error, ValueError):
            pass  # not of that form after all: it is text like any other
    return secret.encode()


def sign_v1(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """
    Return `v1,…`, one entry of the webhook-signature field.

    Args:
        timestamp: Unix time in seconds, as webhook-timestamp says it.
    """
    digest = hmac.digest(key_of(secret), _signed(message_id, timestamp, body), "sha256")
    return "v1," + base64.b64encode(digest).decode()


def sign_v1a(key: Ed25519PrivateKey, message_id: str, timestamp: int, body: bytes) -> str:
    """Return `v1a,…`, which anyone verifies with the public key and only its owner makes."""
    return "v1a," + base64.b64encode(key.sign(_signed(message_id, timestamp, body))).decode()


def sign_body(secret: str, body: bytes) -> str:
    """
    Return X-EmailConnect-Signature: lower-case hex of HMAC-SHA256 over the body.

    The key is the secret's text as its owner sees it, prefix included.
    """
    return hmac.digest(secret.encode(), body, "sha256").hex()


def public_text_of(key: Ed25519PublicKey) -> str:
    """Return the key as receivers of Standard Webhooks are given it: `whpk_` and base64."""
    return PUBLIC_PREFIX + base64.b64encode(_raw(key)).decode()


def private_keys(pem: str) -> tuple[PrivateKey, ...]:
    """
    Return the RSA and Ed25519 keys of a PEM text, in its order; () when it is empty.

    Raises:
        SecretUnreadable: A block is no private key in the clear, or of another kind.
    """
    blocks = pem.split("-----BEGIN ")[1:]
    keys = []
    for block in blocks:
        try:
            key = load_pem_private_key(b"-----BEGIN " + block.encode(), password=None)
        except (ValueError, TypeError) as error:
            raise SecretUnreadable("a signing key is not a PEM private key without a password") from error
        if not isinstance(key, PrivateKey):
            raise SecretUnreadable("a signing key is neither RSA nor Ed25519")
        keys.append(key)
    if pem.strip() and not keys:
        raise SecretUnreadable("a signing key is not PEM")
    return tuple(keys)


def new_private_keys() -> str:
    """Return the PEM of new keys of an installation: Ed25519 (v1a) and RSA (format postal)."""
    keys = (Ed25519PrivateKey.generate(), generate_private_key(public_exponent=65_537, key_size=RSA_BITS))
    return "".join(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode() for key in keys
    )


def read_private_keys(reader: Reader) -> tuple[PrivateKey, ...]:
    """Return the installation's own keys, from MAILCHUTE_SIGNING_KEY; what is wrong is noted there."""
    try:
        return private_keys(reader.secret("MAILCHUTE_SIGNING_KEY"))
    except SecretUnreadable as error:
        reader.mistakes.append(f"MAILCHUTE_SIGNING_KEY: {error}")
        return ()


def jwks_of(keys: tuple[PrivateKey, ...]) -> dict[str, list[dict[str, str]]]:
    """Return the public halves as a JSON Web Key Set (RFC 7517; Ed25519: RFC 8037), ids by RFC 7638."""
    return {"keys": [_jwk_of(key) for key in keys]}


def key_id_of(key: PrivateKey) -> str:
    """Return the id under which the JWKS shows this key."""
    return _jwk_of(key)["kid"]


def _jwk_of(key: PrivateKey) -> dict[str, str]:
    # The members that make the thumbprint stand first, in the order of their names (RFC 7638, 3.2).
    if isinstance(key, Ed25519PrivateKey):
        members = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(_raw(key.public_key()))}
        algorithm = "EdDSA"
    else:
        numbers = key.public_key().public_numbers()
        members = {"e": _base64url(_octets(numbers.e)), "kty": "RSA", "n": _base64url(_octets(numbers.n))}
        algorithm = "RS256"  # RFC 7518, 3.1: RSASSA-PKCS1-v1_5 with SHA-256
    canonical = "{" + ",".join(f'"{name}":"{value}"' for name, value in members.items()) + "}"
    thumbprint = _base64url(hashlib.sha256(canonical.encode()).digest())
    return members | {"kid": thumbprint, "alg": algorithm, "use": "sig"}


def _signed(message_id: str, timestamp: int, body: bytes) -> bytes:
    return f"{message_id}.{timestamp}.".encode() + body


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8)


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
