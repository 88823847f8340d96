"""Postal's HTTP endpoint, raw message as JSON (https://docs.postalserver.io/developer/http-payloads)."""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from mailchute import wire
from mailchute.signing import PrivateKey, key_id_of

from ..faults import EndpointFault
from .shape import Mail, Shape

ID_BITS = 53  # what a double holds exactly: receivers in JavaScript read the id as one


def shape(mail: Mail) -> Shape:
    """
    Return its JSON, signed by an RSA key: RSASSA-PKCS1-v1_5 with SHA-1, for older receivers, and SHA-256.

    Raises:
        EndpointFault: There is no RSA key.
    """
    envelope, key = mail.payload.envelope, _rsa(mail.keys)
    digest = hashlib.sha256(mail.payload.id.encode()).digest()
    body = wire.encode_json(
        {
            "id": int.from_bytes(digest) >> (8 * len(digest) - ID_BITS),  # a number there
            "rcpt_to": envelope.rcpt_to,
            "mail_from": envelope.mail_from,
            "message": base64.b64encode(mail.raw).decode(),
            "base64": True,
            "size": len(mail.raw),
        }
    )
    fields = (
        ("X-Postal-Signature", _text(key.sign(body, PKCS1v15(), SHA1()))),  # noqa: S303 - what they check
        ("X-Postal-Signature-256", _text(key.sign(body, PKCS1v15(), SHA256()))),
        ("X-Postal-Signature-KID", key_id_of(key)),
    )
    return Shape(body=body, content_type="application/json", fields=fields)


def _rsa(keys: tuple[PrivateKey, ...]) -> RSAPrivateKey:
    for key in keys:
        if isinstance(key, RSAPrivateKey):
            return key
    raise EndpointFault(
        "format postal needs an RSA key: set the endpoint's signing_key, or MAILCHUTE_SIGNING_KEY"
    )


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
