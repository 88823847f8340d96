"""
How our types look on the wire. The only module that encodes.

Between our own parts: MessagePack, octets stay octets. For a person: JSON, octets are base64.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from mailchute.errors import NewerVersion, Undecodable

MSGPACK = "application/msgpack"
JSON = "application/json"
BATCH = "application/vnd.mailchute.batch+msgpack"
MESSAGE = "message/rfc822"

VERSION = 1  # of every type on a stream; raise it when an old reader would misread a new record
OLDEST_VERSION = 1

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()
_json_encoder = msgspec.json.Encoder()


def encode(value: Any) -> bytes:
    """Return `value` as MessagePack."""
    return _encoder.encode(value)


def encode_json(value: Any) -> bytes:
    """Return `value` as JSON: compact, fields in their declared order, the same each time."""
    return _json_encoder.encode(value)


def decode(octets: bytes, kind: type[T]) -> T:
    """
    Return the value of type `kind` that these MessagePack octets hold.

    Raises:
        NewerVersion: A newer release wrote it; ask again once this one is upgraded.
        Undecodable: The octets are no such value, or of a version no longer read.
    """
    return _checked(_decoder(kind), octets)


def decode_json(octets: bytes, kind: type[T]) -> T:
    """Return the value of type `kind` that this JSON holds. Raises: as decode."""
    return _checked(_json_decoder(kind), octets)


class _Versioned(msgspec.Struct):
    version: int | str = VERSION


def _checked(decoder: Any, octets: bytes) -> Any:
    try:
        value = decoder.decode(octets)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        _refuse_version(decoder, octets)
        raise Undecodable(str(error)) from error
    version = getattr(value, "version", VERSION)
    if isinstance(version, int) and not OLDEST_VERSION <= version <= VERSION:
        _raise_for(version)
    return value


def _refuse_version(decoder: Any, octets: bytes) -> None:
    reader = (
        _json_decoder(_Versioned)
        if isinstance(decoder, msgspec.json.Decoder)
        else _decoder(_Versioned)
    )
    try:
        version = reader.decode(octets).version
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return
    if isinstance(version, int) and not OLDEST_VERSION <= version <= VERSION:
        _raise_for(version)


def _raise_for(version: int) -> None:
    if version > VERSION:
        raise NewerVersion(f"version {version} is newer than {VERSION}; upgrade this part")
    raise Undecodable(f"version {version} is older than {OLDEST_VERSION}")


@lru_cache(maxsize=256)
def _decoder(kind: type[Any]) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind)


@lru_cache(maxsize=256)
def _json_decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)
