"""
How our types look on the wire. The only module that encodes.

Between our own parts: MessagePack, octets stay octets. For a person: JSON, octets are base64.
"""

from __future__ import annotations

import contextlib
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
    value: T = _checked(_decoder(kind), octets, _decoder(_Versioned))
    return value


def decode_json(octets: bytes, kind: type[T]) -> T:
    """Return the value of type `kind` that this JSON holds. Raises: as decode."""
    value: T = _checked(_json_decoder(kind), octets, _json_decoder(_Versioned))
    return value


class _Versioned(msgspec.Struct):
    version: int | str = VERSION


_Decoder = msgspec.msgpack.Decoder[Any] | msgspec.json.Decoder[Any]
_decoders: dict[Any, msgspec.msgpack.Decoder[Any]] = {}
_json_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    if kind not in _decoders:
        _decoders[kind] = msgspec.msgpack.Decoder(kind)
    return _decoders[kind]


def _json_decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    if kind not in _json_decoders:
        _json_decoders[kind] = msgspec.json.Decoder(kind)
    return _json_decoders[kind]


def _checked(decoder: _Decoder, octets: bytes, versions: _Decoder) -> Any:
    try:
        value = decoder.decode(octets)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        # A newer release may have changed the very shape: look at the version alone before refusing.
        with contextlib.suppress(msgspec.MsgspecError, ValueError, RecursionError):
            _check_version(versions.decode(octets).version)
        raise Undecodable(str(error)) from error
    _check_version(getattr(value, "version", VERSION))
    return value


def _check_version(version: int | str) -> None:
    if not isinstance(version, int):
        return  # the payload's, which is a promise to receivers and not a number of ours
    if version > VERSION:
        raise NewerVersion(f"version {version} is newer than {VERSION}; upgrade this part")
    if version < OLDEST_VERSION:
        raise Undecodable(f"version {version} is older than {OLDEST_VERSION}")
