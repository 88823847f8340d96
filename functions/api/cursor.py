"""Where a page ends and the next begins: opaque to the caller."""

from __future__ import annotations

import base64
import binascii

import msgspec

from .problem import Problem

PARTS_MAX_OCTETS = 256


def cursor_of(*parts: str) -> str:
    """Return the cursor of the row with this sort key."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def parts_of(cursor: str | None, count: int) -> tuple[str, ...] | None:
    """
    Return the sort key a cursor names; None for the first page.

    Raises:
        Problem: 400, it is no cursor of ours.
    """
    if cursor is None:
        return None
    try:
        octets = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        parts = msgspec.json.decode(octets, type=tuple[str, ...])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        parts = ()
    if len(parts) != count or len(cursor) > PARTS_MAX_OCTETS or any("\x00" in part for part in parts):
        raise Problem(400, "cursor: take nextCursor of the page before as it is")
    return parts
