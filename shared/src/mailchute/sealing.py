"""
Secrets at rest: AES-256-GCM, a key per installation, bound to the row they stand in.

A sealed value is   version (1 octet) · key id (4) · nonce (12) · ciphertext and tag.
The key is HKDF-SHA256(master key, salt of the installation); what is authenticated besides the
ciphertext names the installation, table, column, row and account, so that no value opens in another place.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mailchute.errors import BadSetting, SecretUnreadable

MASTER_KEY_OCTETS = 32  # AES-256
NONCE_OCTETS = 12  # NIST SP 800-38D, 8.2.1
KEY_ID_OCTETS = 4
_VERSION = b"\x01"
_HEAD_OCTETS = 1 + KEY_ID_OCTETS + NONCE_OCTETS
_PURPOSE = b"mailchute|secrets|v1"
_DOWNLOADS = b"mailchute|downloads|v1"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a sealed value stands; it opens nowhere else."""

    table: str
    column: str
    row_id: str
    account_id: str = ""  # "" belongs to the installation itself


class Keyring:
    """The master keys of an installation: the newest seals, every one opens."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        if not keys or any(len(key) != MASTER_KEY_OCTETS for key in keys):
            raise ValueError(f"a master key has {MASTER_KEY_OCTETS} octets")
        self._keys = {_key_id_of(key): key for key in keys}
        self.newest_id = _key_id_of(keys[0])

    @classmethod
    def from_file(cls, path: Path) -> Keyring:
        """
        Read master keys, one a line in base64, the newest first; `#` begins a comment.

        Raises:
            BadSetting: The file cannot be read, or a line is not 32 octets.
        """
        try:
            lines = path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BadSetting(f"the master key file {path} cannot be read: {error}") from None
        texts = [text for line in lines if (text := line.partition("#")[0].strip())]
        try:
            return cls(tuple(base64.b64decode(text, validate=True) for text in texts))
        except (ValueError, binascii.Error):
            raise BadSetting(
                f"the master key file {path} cannot be used: expected {MASTER_KEY_OCTETS} octets in base64 "
                "a line; `openssl rand -base64 32` makes one"
            ) from None

    @classmethod
    def generate(cls, path: Path) -> Keyring:
        """Write a new master key to `path`, which must not exist, readable by its owner alone; return it."""
        key = os.urandom(MASTER_KEY_OCTETS)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return cls((key,))

    def derive(self, salt: bytes) -> dict[bytes, AESGCM]:
        """Return the cipher of each key under the installation's salt, by key id."""
        return {
            key_id: AESGCM(HKDF(algorithm=SHA256(), length=32, salt=salt, info=_PURPOSE).derive(key))
            for key_id, key in self._keys.items()
        }

    def download_key(self, key_id: bytes) -> bytes | None:
        """Return what signs links to attachments under this master key; None when it is not on the ring."""
        key = self._keys.get(key_id)
        return None if key is None else HKDF(SHA256(), length=32, salt=None, info=_DOWNLOADS).derive(key)


class Sealer:
    """
    Seals and opens the secrets of one installation.

    Args:
        salt: At least 16 octets, made with the database and kept in it.
        random: Gives n octets that were never given before.
    """

    def __init__(
        self,
        keyring: Keyring,
        *,
        installation_id: str,
        salt: bytes,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._ciphers = keyring.derive(salt)
        self._newest_id = keyring.newest_id
        self._installation_id = installation_id
        self._random = random

    def seal(self, text: str, place: Place) -> bytes:
        nonce = self._random(NONCE_OCTETS)
        sealed = self._ciphers[self._newest_id].encrypt(nonce, text.encode(), self._bound_to(place))
        return _VERSION + self._newest_id + nonce + sealed

    def open(self, sealed: bytes, place: Place) -> str:
        """
        Return the text that was sealed for this place.

        Raises:
            SecretUnreadable: Its key is not on the ring, or it was made for another place, or altered.
        """
        cipher = self._ciphers.get(sealed[1 : 1 + KEY_ID_OCTETS])
        if sealed[:1] != _VERSION or cipher is None:
            raise SecretUnreadable(
                f"{place.table}.{place.column} of {place.row_id}: sealed with a master key "
                "that MAILCHUTE_MASTER_KEY_FILE does not hold"
            )
        nonce = sealed[1 + KEY_ID_OCTETS : _HEAD_OCTETS]
        try:
            return cipher.decrypt(nonce, sealed[_HEAD_OCTETS:], self._bound_to(place)).decode()
        except (InvalidTag, ValueError):  # ValueError: cut within the nonce
            raise SecretUnreadable(
                f"{place.table}.{place.column} of {place.row_id}: altered, or moved from another place"
            ) from None

    def is_newest(self, sealed: bytes) -> bool:
        """Whether the newest master key sealed it; False: it waits to be sealed anew."""
        return sealed[1 : 1 + KEY_ID_OCTETS] == self._newest_id

    def _bound_to(self, place: Place) -> bytes:
        parts = (self._installation_id, place.table, place.column, place.row_id, place.account_id)
        return _VERSION + "\x1f".join(parts).encode()


def _key_id_of(key: bytes) -> bytes:
    """Return four octets that name the key and tell nothing of it."""
    return hashlib.sha256(b"mailchute|key id|" + key).digest()[:KEY_ID_OCTETS]
