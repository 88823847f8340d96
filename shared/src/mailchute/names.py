"""Domain names, of which one may be spelt in two ways: A-labels and U-labels (RFC 5890, 2.3.2.1)."""

from __future__ import annotations

from functools import lru_cache

import idna


@lru_cache(4_096)
def ascii_name(name: str) -> str:
    """Return the name in lower case and A-labels, without a final dot; as it stands where it has none."""
    lower = name.lower().removesuffix(".")
    if lower.isascii():
        return lower
    try:
        return idna.encode(lower, uts46=True, transitional=False).decode("ascii")
    except idna.IDNAError:  # no registry has it; whoever writes it the same way still means the same
        return lower


@lru_cache(4_096)
def spellings_of(name: str) -> tuple[str, ...]:
    """Return the name in lower case as it is written, and as it is written the other way where it can be."""
    lower = name.lower().removesuffix(".")
    if lower.isascii() and "xn--" not in lower:
        return (lower,)
    try:
        unicode_name = idna.decode(lower)
    except idna.IDNAError:
        unicode_name = lower
    return tuple(dict.fromkeys((lower, ascii_name(lower), unicode_name)))


def parents_of(name: str) -> list[str]:
    """Return the name and every domain it lies in, the nearest first: a.b.c, b.c, c."""
    labels = name.split(".")
    return [".".join(labels[index:]) for index in range(len(labels))]
