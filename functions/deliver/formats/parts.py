"""Which parts of the payload an endpoint gets."""

from __future__ import annotations

import functools
from typing import Any

EXTRAS = frozenset({"htmlsafe", "htmlclean", "raw", "received"})  # there only when named
PARTS = frozenset(  # there unless others are named
    {"text", "html", "markdown", "links", "parts", "attachments", "headers", "reply", "evidence"}
)
DEFAULT = PARTS

_CONTENT = {
    "text": "text",
    "html": "html",
    "markdown": "markdown",
    "links": "links",
    "parts": "parts",
    "htmlsafe": "htmlSafe",
    "htmlclean": "htmlClean",
}


@functools.lru_cache(maxsize=1_024)
def parts_of(include: tuple[str, ...]) -> frozenset[str]:
    """
    Return the parts that `include` asks for; `html_safe`, `htmlSafe` and `HTMLSAFE` are the same.

    Extras add to the rest; as soon as one of the other parts is named, only what is named goes. What
    tells the mail apart (ids, envelope, addresses, subject, verdicts, hashes) always goes.
    """
    named = frozenset(name.replace("_", "").lower() for name in include)
    return ((named & PARTS) or PARTS) | (named & EXTRAS)


def keep(payload: dict[str, Any], parts: frozenset[str]) -> None:
    """Remove from a decoded payload what is not among the parts."""
    message = payload["message"]
    for part, name in _CONTENT.items():
        if part not in parts:
            message["content"].pop(name, None)
    for name in ("attachments", "headers", "received"):
        if name not in parts:
            message.pop(name, None)
    if "reply" not in parts:
        payload.pop("reply", None)
    if "evidence" not in parts:
        payload["auth"]["sender"].pop("evidence", None)
