"""Ids that sort by time: a prefix that names the kind, and a ULID (https://github.com/ulid/spec)."""

from __future__ import annotations

import hashlib
import os
import time

PREFIXES = ("msg", "dlv", "end", "als", "dom", "acc", "evt", "run", "cmd", "key", "mem", "blk", "sto", "aud")

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U
_RANDOM_BITS = 80
_RANDOM_OCTETS = 10
_RFC4648 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"  # RFC 4648, 6: derived ids tell themselves apart
_PAIRS = [a + b for a in _RFC4648 for b in _RFC4648]  # two letters at a time: several ids to each mail
_SHIFTS = tuple(range(120, -1, -10))


def new_id(prefix: str, *, now_ms: int | None = None, entropy: bytes | None = None) -> str:
    """
    Return a new id such as `msg_01JD5W…`: the prefix and 26 characters.

    Args:
        prefix: One of PREFIXES.
        now_ms: Unix time in milliseconds; the clock's when None.
        entropy: Ten octets; the system's when None.
    """
    stamp = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    random = os.urandom(_RANDOM_OCTETS) if entropy is None else entropy
    return f"{prefix}_{_base32((stamp << _RANDOM_BITS) | int.from_bytes(random))}"


def derived_id(prefix: str, *parts: str) -> str:
    """Return the id that these parts always give, so that doing a thing twice names it once."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    number = int.from_bytes(digest[:16]) << 2  # 130 bits: 26 letters of 5
    return f"{prefix}_{''.join([_PAIRS[number >> shift & 1_023] for shift in _SHIFTS])}"


def _base32(number: int) -> str:
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
