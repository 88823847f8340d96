"""The words that conditions are written in (see expressions), and where a mistake in them stands."""

from __future__ import annotations

import re
from dataclasses import dataclass


class ExpressionError(ValueError):
    """A condition cannot be used: where, and why."""

    def __init__(self, reason: str, *, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {reason}")
        self.reason = reason
        self.line = line  # counts from 1, within the expression
        self.column = column  # counts from 1


@dataclass(frozen=True)
class Lexeme:
    """One word, value or sign of a condition."""

    kind: str  # number, text, name, sign, word, end
    text: str
    at: int  # its first character, counted from 0


UNITS = {"KiB": 1024, "MiB": 1024 * 1024}

_LEXEMES = re.compile(
    r"""\s*(?:(?P<number>-?\d+(?:\.\d+)?(?:KiB|MiB)?(?![\w.]))
    |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_-]+)*)
    |(?P<sign>==|!=|<=|>=|<|>|\(|\)|\[|\]|,)
    |(?P<end>\Z))""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"""\\([\\"'])""")
WORDS = frozenset({"and", "or", "not", "in", "contains", "matches", "true", "false"})


def read_lexeme(text: str, at: int) -> Lexeme:
    """
    Return the lexeme that stands at or after `at`.

    Raises:
        ExpressionError: There is none that could stand in a condition.
    """
    match = _LEXEMES.match(text, at)
    if match is None:
        rest = text[at:]
        start = at + len(rest) - len(rest.lstrip())
        raise error_at(text, start, f"{text[start]!r} means nothing here")
    kind = str(match.lastgroup)
    is_word = kind == "name" and match[kind] in WORDS
    return Lexeme("word" if is_word else kind, match[kind], match.start(kind))


def quoted_of(lexeme: Lexeme) -> str:
    """Return what stands in the quotation marks of a text."""
    return _ESCAPED.sub(r"\1", lexeme.text[1:-1])


def error_at(text: str, at: int, reason: str) -> ExpressionError:
    """Return the error that says where in `text` the character `at` stands."""
    before = text[:at]
    return ExpressionError(reason, line=before.count("\n") + 1, column=at - before.rfind("\n"))
