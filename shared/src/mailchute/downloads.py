"""
Links that outlive what S3 signs: `/d/<token>`, which the API answers with a URL signed afresh.

A token is   key id (4 octets) · end (8, Unix time) · MAC (16) · key of the object (mailchute.stored_key)
in base64url. The MAC is HMAC-SHA256 over the rest, by a key of the master keyring, cut to 128 bits
(RFC 2104, 5). So a token names one object until one moment, and nothing can be listed or guessed.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from datetime import UTC, datetime

from mailchute.sealing import KEY_ID_OCTETS, Keyring

PATH = "/d/"
TOKEN_MAX_CHARACTERS = 512
_MAC_OCTETS = 16
_END = struct.Struct("!Q")
_HEAD_OCTETS = KEY_ID_OCTETS + _END.size + _MAC_OCTETS


class LinkEnded(ValueError):
    """The link was one of ours, and its time is over."""


def token_of(keyring: Keyring, key: str, ends_at: datetime) -> str:
    """Return the token that opens this object until then."""
    end = _END.pack(int(ends_at.timestamp()))
    mac = _mac(keyring, keyring.newest_id, end, key.encode())
    assert mac is not None, "the newest key is on the ring"
    token = base64.urlsafe_b64encode(keyring.newest_id + end + mac + key.encode())
    return token.decode().rstrip("=")


def key_of(keyring: Keyring, token: str, now: datetime) -> str:
    """
    Return the key of the object that the token opens.

    Raises:
        LinkEnded: It was one of ours.
        ValueError: It is none of ours, or altered.
    """
    if len(token) > TOKEN_MAX_CHARACTERS or not token.isascii():
        raise ValueError("no token")
    try:
        octets = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("no token") from None
    key_id, end = octets[:KEY_ID_OCTETS], octets[KEY_ID_OCTETS : KEY_ID_OCTETS + _END.size]
    mac, key = octets[_HEAD_OCTETS - _MAC_OCTETS : _HEAD_OCTETS], octets[_HEAD_OCTETS:]
    expected = _mac(keyring, key_id, end, key)
    if expected is None or not hmac.compare_digest(mac, expected):
        raise ValueError("no token of ours")
    if now.astimezone(UTC).timestamp() >= _END.unpack(end)[0]:
        raise LinkEnded("its time is over")
    return key.decode()


def _mac(keyring: Keyring, key_id: bytes, end: bytes, key: bytes) -> bytes | None:
    secret = keyring.download_key(key_id)
    return None if secret is None else hmac.digest(secret, key_id + end + key, "sha256")[:_MAC_OCTETS]
