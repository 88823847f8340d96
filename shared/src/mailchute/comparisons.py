"""What the comparisons of conditions mean (see expressions)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import re2

Kind = type  # str, float, bool, or tuple (of str)

KIND_NAMES: Mapping[Kind | None, str] = {
    str: "text",
    float: "a number",
    bool: "true or false",
    tuple: "a list",
}


def _same(value: Any) -> Any:
    if isinstance(value, str):
        return value.casefold()
    return tuple(str(v).casefold() for v in value) if isinstance(value, (tuple, list)) else value


COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: bool(_same(a) == _same(b)),
    "!=": lambda a, b: bool(_same(a) != _same(b)),
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "contains": lambda a, b: _same(b) in _same(a),
    "in": lambda a, b: _same(a) in _same(b),
}
_ORDERS = frozenset({"<", "<=", ">", ">="})


def is_meaningful(sign: str, left: Kind | None, right: Kind | None) -> bool:
    """Say whether these kinds can be compared so; None is a kind that is not known."""
    if left is None or right is None:
        return True
    if sign == "contains":
        return right is str and left in (str, tuple)
    if sign == "in":
        return left is str and right in (str, tuple)
    return left is right is float if sign in _ORDERS else left is right


class Searched(str):
    """A text of which is known already, for some patterns, whether they are found in it."""

    __slots__ = ("found",)

    found: Mapping[str, bool]  # by pattern

    @classmethod
    def of(cls, text: str, found: Mapping[str, bool]) -> Searched:
        searched = cls(text)
        searched.found = found
        return searched


def pattern_options() -> Any:
    """Return how RE2 reads the patterns of conditions."""
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    return options


def finder_of(pattern: str) -> Callable[[Any], bool]:
    """
    Return what says whether the pattern is found in a text, or in one of several.

    Raises:
        ValueError: It is no RE2 pattern (https://github.com/google/re2/wiki/Syntax).
    """
    try:
        search = re2.compile(pattern, pattern_options()).search
    except re2.error as error:
        reason = error.args[0] if error.args else error
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None

    def finds(value: Any) -> bool:
        if isinstance(value, Searched) and (known := value.found.get(pattern)) is not None:
            return known
        if isinstance(value, str):
            return search(value) is not None
        texts = value if isinstance(value, (tuple, list)) else (value,)
        return any(search(text) is not None for text in texts if isinstance(text, str))

    return finds
