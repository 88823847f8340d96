"""Which edition of a thing a caller has seen: ETag, and If-Match before it is changed (RFC 9110, 13.1.1)."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from mailchute import wire

from .operation import Request
from .problem import Problem

# What changes by itself: an edit does not become stale by it.
VOLATILE = frozenset({
    "failingSince", "succeededAt", "failedAt", "failedReason", "verifiedAt", "lastUsedAt", "checkedAt",
    "records", "mailCount",
})  # fmt: skip


def etag_of(shown: str) -> str:
    """Return the entity tag of what is shown, a JSON object."""
    fields = msgspec.json.decode(shown, type=dict[str, Any])
    kept = {name: value for name, value in fields.items() if name not in VOLATILE}
    return f'"{hashlib.sha256(wire.encode_json(kept)).hexdigest()[:32]}"'


def check_unchanged(request: Request, view: Any, *, is_needed: bool = True) -> None:
    """
    Args:
        view: What is there now, in the transaction that is going to change it.
        is_needed: Whether one must say which edition is to be changed.

    Raises:
        Problem: 428, the request does not say which; 412, it has become another.
    """
    wanted = request.if_match
    if wanted is None:
        if is_needed:
            raise Problem(428, "send If-Match with the ETag of what you have seen, or If-Match: * for any")
        return
    tags = {tag.strip() for tag in wanted.split(",")}
    if "*" not in tags and etag_of(wire.encode_json(view).decode()) not in tags:
        raise Problem(412, "it was changed since you saw it: get it again, then decide")
