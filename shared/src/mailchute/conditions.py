"""
A condition as plain JSON or YAML, and the expression it stands for (mailchute.expressions).

    {all: [{sender.domain: example.com}, {spam.score: {gte: 7}}]}
    {any: [{subject: {matches: "^\\[sale\\]"}}, {not: {attachments.extensions: [exe, scr]}}]}

A mapping holds when all its entries do. A bare value is compared with ==, or with contains where the
fact is a list; a list of values means any of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from mailchute.comparisons import KIND_NAMES
from mailchute.expressions import TEXT_MAX_CHARS, ExpressionError, compile_expression
from mailchute.lexemes import WORDS
from mailchute.rule_facts import RULE_FACTS

NESTING_MAX_COUNT = 20
SIGNS: Mapping[str, str] = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "lte": "<=",
    "gt": ">",
    "gte": ">=",
    "contains": "contains",
    "matches": "matches",
    "in": "in",
    "not_in": "not in",
}
GROUPS: Mapping[str, str] = {"all": "and", "any": "or"}

Place = tuple[str | int, ...]  # the keys and indexes that lead to a value

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_-]+)*")
_SIZE = re.compile(r"-?\d+(?:\.\d+)?(?:KiB|MiB)?")


class ConditionError(ValueError):
    """A condition cannot be used: where in it, and why."""

    def __init__(self, reason: str, place: Place) -> None:
        super().__init__(f"{' › '.join(map(str, place))}: {reason}" if place else reason)
        self.reason = reason
        self.place = place


def expression_of(condition: Any) -> str:
    """
    Return the expression that means the same; a text is one already, and is checked.

    Raises:
        ConditionError: It is no condition, or asks for a fact there is not.
    """
    if isinstance(condition, str):
        return _checked(condition, ())
    text = _Writer().condition(condition, ())
    return _checked(text[1:-1] if text.startswith("(") else text, ())


class _Writer:
    """Writes one condition, groups in parentheses; stops once it is longer than an expression may be."""

    def __init__(self) -> None:
        self._length = 0

    def condition(self, condition: Any, place: Place, depth: int = 0) -> str:
        if depth > NESTING_MAX_COUNT:
            raise ConditionError("nested too deeply", place)
        if not isinstance(condition, Mapping):
            raise ConditionError(
                f"expected a condition such as {{spam.score: {{gte: 7}}}}, found {_told(condition)}", place
            )
        parts = [self._entry(key, value, (*place, str(key)), depth) for key, value in condition.items()]
        return _joined("and", parts, place)

    def _entry(self, key: Any, value: Any, place: Place, depth: int) -> str:
        if key == "not":
            return f"not {self.condition(value, place, depth + 1)}"
        if key not in GROUPS:
            return self._test(key, value, place)
        if not isinstance(value, (list, tuple)):
            raise ConditionError(f"expected a list of conditions, found {_told(value)}", place)
        parts = [self.condition(one, (*place, index), depth + 1) for index, one in enumerate(value)]
        return _joined(GROUPS[key], parts, place)

    def _test(self, name: Any, value: Any, place: Place) -> str:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in WORDS:
            raise ConditionError(
                f"{name!r} is no fact; expected all, any, not, or a fact such as spam.score", place
            )
        kind = RULE_FACTS.get(name.lower(), str if name.lower().startswith("header.") else None)
        if kind is None:
            _checked(f"{name} == true", place)  # says what was meant instead
            raise ConditionError(f"there is no {name}", place)
        if isinstance(value, Mapping):
            parts = [
                self._compared(name, kind, sign, one, (*place, str(sign))) for sign, one in value.items()
            ]
            return _joined("and", parts, place)
        sign = "in" if isinstance(value, (list, tuple)) else "contains" if kind is tuple else "eq"
        return self._compared(name, kind, sign, value, place)

    def _compared(self, name: str, kind: type, sign: Any, value: Any, place: Place) -> str:
        if sign not in SIGNS:
            raise ConditionError(f"{sign!r} is no comparison; expected one of {', '.join(SIGNS)}", place)
        is_list = isinstance(value, (list, tuple))
        if is_list and kind is tuple and sign in ("in", "contains", "not_in"):
            each = [
                self._leaf(f"{name} contains {_written(one, str, (*place, i))}", place)
                for i, one in enumerate(value)
            ]
            anyone = _joined("or", each, place)
            return f"not {anyone}" if sign == "not_in" else anyone
        if is_list is not (sign in ("in", "not_in")):
            raise ConditionError(
                "expected a list" if not is_list else f"{sign} takes one value, not a list", place
            )
        if is_list and kind is not str:
            raise ConditionError(f"{name} is {KIND_NAMES[kind]}: a list means nothing to it", place)
        written = _list(value, place) if is_list else _written(value, str if kind is tuple else kind, place)
        return self._leaf(f"{name} {SIGNS[sign]} {written}", place)

    def _leaf(self, text: str, place: Place) -> str:
        self._length += len(text)
        if self._length > TEXT_MAX_CHARS:
            raise ConditionError(f"longer than {TEXT_MAX_CHARS} characters", place[:1])
        return _checked(text, place)


def _checked(text: str, place: Place) -> str:
    try:
        return compile_expression(text, names=RULE_FACTS).text
    except ExpressionError as error:
        where = "" if place else f" (character {error.column} of the condition)"
        raise ConditionError(error.reason + where, place) from None


def _joined(word: str, parts: list[str], place: Place) -> str:
    if not parts:
        raise ConditionError("expected at least one", place)
    return f"({f' {word} '.join(parts)})" if len(parts) > 1 else parts[0]


def _list(values: Any, place: Place) -> str:
    return "[" + ", ".join(_written(one, str, (*place, index)) for index, one in enumerate(values)) + "]"


def _written(value: Any, kind: type, place: Place) -> str:
    """Return the value as an expression writes it."""
    write: Callable[[Any], str | None] = {str: _text, float: _number, bool: _claim}[kind]
    written = write(value)
    if written is None:
        raise ConditionError(f"expected {KIND_NAMES[kind]}, found {_told(value)}", place)
    return written


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _number(value: Any) -> str | None:
    if isinstance(value, str):
        return value if _SIZE.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return f"{Decimal(repr(value)):f}"


def _claim(value: Any) -> str | None:
    return str(value).lower() if isinstance(value, bool) else None


def _told(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, (list, tuple)) else repr(value)[:60]
