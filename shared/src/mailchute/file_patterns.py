"""
Which attachments a rule means: by file name, extension or media type.

    *           every one
    .exe        by extension          invoice-??.pdf   by file name, * and ? standing for anything
    image/*     by media type, the declared or the detected one

Case makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import re2

PATTERN_MAX_CHARS = 255
PATTERNS_MAX_COUNT = 100  # of one rule


def check_file_pattern(text: str) -> str:
    """Return the pattern; raise ValueError saying why it means no attachment."""
    if not text or len(text) > PATTERN_MAX_CHARS:
        raise ValueError(f"expected 1 to {PATTERN_MAX_CHARS} characters such as *.exe, .zip or image/*")
    if not text.isprintable():
        raise ValueError("holds a control character")
    if text == "." or text.count("/") > 1 or text.startswith("/") or text.endswith("/"):
        raise ValueError(f"{text!r} is understood by no attachment; write *.exe, .zip or image/*")
    return text


def is_meant(patterns: Iterable[str], filename: str, media_types: Iterable[str | None]) -> bool:
    """Say whether one of the patterns means the attachment of this name and these types."""
    types = [one for one in media_types if one]
    for pattern in patterns:
        matches = _compiled(pattern)
        if any(matches(text) for text in (types if "/" in pattern else (filename,))):
            return True
    return False


@lru_cache(maxsize=1_024)
def _compiled(pattern: str) -> Any:
    glob = f"*{pattern}" if pattern.startswith(".") else pattern
    parts = (".*" if one == "*" else "." if one == "?" else re2.escape(one) for one in glob)
    return re2.compile("(?is)" + "".join(parts)).fullmatch
