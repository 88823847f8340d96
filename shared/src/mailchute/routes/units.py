"""Sizes and durations as people write them."""

from __future__ import annotations

import re

_SIZES = {
    "": 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3,
}  # fmt: skip
_DURATIONS_S = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
RATE_MAX_PER_S = 1_000.0
_RATE_UNITS_S = {"s": 1, "min": 60, "h": 3_600}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*([a-z]+)")
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


def octets_of(text: str) -> int:
    """
    Return the octets that `192KiB`, `1.5 MB` or `4096` name.

    Raises:
        ValueError: It names none.
    """
    return _quantity(
        text, {name.upper(): factor for name, factor in _SIZES.items()}, str.upper, "192KiB or 5MB"
    )


def seconds_of(text: str) -> int:
    """
    Return the seconds that `90s`, `30min`, `24h`, `14d` or `2w` name; the unit must stand there.

    Raises:
        ValueError: It names none.
    """
    return _quantity(text, _DURATIONS_S, str.lower, "90s, 30min, 24h or 14d")


def rate_per_s_of(text: str) -> float:
    """
    Return how many a second `5/s`, `30/min` or `100/h` are.

    Raises:
        ValueError: It names none, or more than RATE_MAX_PER_S.
    """
    match = _RATE.fullmatch(text.strip())
    unit_s = _RATE_UNITS_S.get(match[2]) if match else None
    if match is None or unit_s is None or not 0 < float(match[1]) / unit_s <= RATE_MAX_PER_S:
        raise ValueError(
            f"{text!r} is no rate; write it as 5/s, 30/min or 100/h, {RATE_MAX_PER_S:g}/s at most"
        )
    return float(match[1]) / unit_s


def _quantity(text: str, units: dict[str, int], fold: object, example: str) -> int:
    match = _QUANTITY.fullmatch(text.strip())
    factor = units.get(fold(match[2])) if match and callable(fold) else None
    if match is None or factor is None:
        raise ValueError(f"{text!r} is not understood; write it as {example}")
    return round(float(match[1]) * factor)
