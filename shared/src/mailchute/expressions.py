"""
The small language of conditions, in alias rules and in the spam engine's rules alike.

    spam.score >= 7 and not sender.domain in ["partner.example", "other.example"]
    header.list-id contains "news" or subject matches "^\\[sale\\]"

    or, and, not, parentheses      == != < <= > >=      contains, matches (RE2), in, not in
    "text" or 'text'               7, -0.5, 192KiB      true, false        ["a", "b"]

Text compares without regard to case. What a mail has nothing for makes a comparison false.
Compiled once to closures, evaluated in microseconds; patterns take time linear in their input.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from mailchute.clauses import Clause, Facts, joined, negated
from mailchute.comparisons import COMPARISONS, KIND_NAMES, Kind, finder_of, is_meaningful
from mailchute.lexemes import UNITS, ExpressionError, Lexeme, error_at, read_lexeme
from mailchute.rule_facts import RULE_FACTS

TEXT_MAX_CHARS = 4_000  # of one expression
NESTING_MAX_COUNT = 50

_Value = Callable[[Facts], Any]  # None: the mail has no such thing

__all__ = ["RULE_FACTS", "Expression", "ExpressionError", "compile_expression"]


@dataclass(frozen=True)
class Expression:
    """A compiled condition."""

    text: str
    names: frozenset[str]  # the facts it asks for
    clause: Clause

    def holds(self, facts: Facts) -> bool:
        """
        Say whether the condition is true of these facts; raises nothing.

        Args:
            facts: Values by dotted name; a name that is missing, or None, is nothing to compare.
        """
        return bool(self.clause.value(facts))


def compile_expression(text: str, *, names: Mapping[str, Kind] | Collection[str] | None = None) -> Expression:
    """
    Return the condition that `text` writes.

    Args:
        names: The facts there are, with their kinds where it is a mapping; a name ending in ".*"
            stands for all below it. None takes any name.

    Raises:
        ExpressionError: It is no condition, or asks for a fact there is not.
    """
    parser = _Parser(text, names)
    clause = parser.whole()
    return Expression(text, frozenset(parser.asked), clause)


@dataclass(frozen=True)
class _Operand:
    value: _Value
    kind: Kind | None  # None: not known
    at: int
    constant: Any = None
    name: str | None = None  # of the fact


# ── grammar ──────────────────────────────────────────────────────────────────────────────────────


class _Parser:
    """A Pratt parser: or binds weakest, then and, not, and the comparisons."""

    def __init__(self, text: str, names: Mapping[str, Kind] | Collection[str] | None) -> None:
        self._text = text
        self._names = names
        self._depth = 0
        self.asked: set[str] = set()
        if len(text) > TEXT_MAX_CHARS:
            raise self._error(TEXT_MAX_CHARS, f"longer than {TEXT_MAX_CHARS} characters")
        self._end = 0  # of what was taken last
        self._next = read_lexeme(self._text, 0)

    def whole(self) -> Clause:
        condition = self._condition(0)
        if self._next.kind != "end":
            raise self._error(self._next.at, f"expected and, or, or the end, not {self._next.text!r}")
        return condition

    def _condition(self, strength: int) -> Clause:
        start = self._next.at
        self._depth += 1
        if self._depth > NESTING_MAX_COUNT:
            raise self._error(self._next.at, "nested too deeply")
        left = self._claim()
        while self._next.text in ("and", "or") and self._next.kind == "word":
            word = self._next.text
            if (binds := {"or": 1, "and": 2}[word]) <= strength:
                break
            self._take()
            right = self._condition(binds)
            left = joined(word, left, right, self._text[start : self._end])
        self._depth -= 1
        return left

    def _claim(self) -> Clause:
        start = self._next.at
        if self._next.text == "not" and self._next.kind == "word":
            self._take()
            inner = self._condition(2)
            return negated(inner, self._text[start : self._end])
        if self._next.text == "(" and self._next.kind == "sign":
            self._take()
            inner = self._condition(0)
            self._expect(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Clause:
        start = self._next.at
        left = self._operand()
        is_negated = self._next.kind == "word" and self._next.text == "not"
        if is_negated:
            self._take()
        sign = self._next
        if sign.kind in ("sign", "word") and (sign.text in COMPARISONS or sign.text == "matches"):
            if is_negated and sign.text != "in":
                raise self._error(sign.at, 'expected "in" after "not"')
            self._take()
            right = self._operand()
            compare = self._compared(sign, left, right)
            return Clause(
                word="",
                text=self._text[start : self._end],
                value=(lambda facts: not compare(facts)) if is_negated else compare,
                names=tuple(one.name for one in (left, right) if one.name),
            )
        if is_negated:
            raise self._error(sign.at, 'expected "in" after "not"')
        if left.kind not in (bool, None):
            raise self._error(left.at, f"this is {KIND_NAMES[left.kind]}: compare it with something")
        names = (left.name,) if left.name else ()
        return Clause(word="", text=self._text[start : self._end], value=left.value, names=names)

    def _compared(self, sign: Lexeme, left: _Operand, right: _Operand) -> _Value:
        a, b = left.value, right.value
        if sign.text == "matches":
            return self._matcher(a, right)
        if not is_meaningful(sign.text, left.kind, right.kind):
            kinds = f"{KIND_NAMES[left.kind]} {sign.text} {KIND_NAMES[right.kind]}"
            raise self._error(sign.at, f"{kinds} means nothing")
        compare = COMPARISONS[sign.text]

        def evaluate(facts: Facts) -> bool:
            x, y = a(facts), b(facts)
            if x is None or y is None:
                return False
            try:
                return compare(x, y)
            except TypeError:  # kinds that were not known when it was compiled
                return False

        return evaluate

    def _matcher(self, value: _Value, right: _Operand) -> _Value:
        if not isinstance(right.constant, str):
            raise self._error(right.at, "expected a pattern in quotation marks")
        try:
            finds = finder_of(right.constant)
        except ValueError as error:
            raise self._error(right.at, f"not an RE2 pattern: {error}") from None
        return lambda facts: finds(value(facts))

    def _operand(self) -> _Operand:
        lexeme = self._take()
        if lexeme.kind == "name":
            return self._fact(lexeme)
        if lexeme.text == "[" and lexeme.kind == "sign":
            return self._list(lexeme)
        value: Any
        if lexeme.kind == "number":
            digits, unit = (
                (lexeme.text[:-3], lexeme.text[-3:]) if lexeme.text[-1] == "B" else (lexeme.text, "")
            )
            value = float(digits) * UNITS.get(unit, 1)
        elif lexeme.kind == "text":
            value = re.sub(r"""\\([\\"'])""", r"\1", lexeme.text[1:-1])
        elif lexeme.text in ("true", "false"):
            value = lexeme.text == "true"
        else:
            raise self._error(lexeme.at, f"expected a fact or a value, not {lexeme.text or 'the end'}")
        return _Operand(lambda _: value, type(value), lexeme.at, value)

    def _list(self, start: Lexeme) -> _Operand:
        values: list[str] = []
        while self._next.text != "]":
            item = self._operand()
            if item.constant is None:
                raise self._error(item.at, "a list holds values only")
            values.append(item.constant if isinstance(item.constant, str) else str(item.constant))
            if self._next.text != "]":
                self._expect(",")
        self._expect("]")
        fixed = tuple(values)
        return _Operand(lambda _: fixed, tuple, start.at, fixed)

    def _fact(self, lexeme: Lexeme) -> _Operand:
        name = lexeme.text.lower()
        known = self._names
        key = name if known is None or name in known else f"{name.partition('.')[0]}.*"
        if known is not None and (key not in known or f"{name}.*" == key):
            near = difflib.get_close_matches(name, [n for n in known if not n.endswith("*")], n=1)
            raise self._error(
                lexeme.at, f"there is no {name}" + (f"; did you mean {near[0]}?" if near else "")
            )
        self.asked.add(name)
        return _Operand(
            lambda facts: facts.get(name),
            known.get(key) if isinstance(known, Mapping) else None,
            lexeme.at,
            name=name,
        )

    def _take(self) -> Lexeme:
        taken = self._next
        if taken.kind != "end":
            self._end = taken.at + len(taken.text)
            self._next = read_lexeme(self._text, taken.at + len(taken.text))
        return taken

    def _expect(self, sign: str) -> None:
        if self._next.text != sign:
            raise self._error(self._next.at, f"expected {sign}, not {self._next.text or 'the end'}")
        self._take()

    def _error(self, at: int, reason: str) -> ExpressionError:
        return error_at(self._text, at, reason)
