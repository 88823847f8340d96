"""Texts searched once for the patterns of all rules, instead of once for each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import re2
from mailchute.comparisons import Searched, pattern_options
from mailchute.lexemes import Lexeme, quoted_of, read_lexeme

_WORTHWHILE_COUNT = 2  # patterns for one fact: a single one is searched for when it is asked about
_EVERYWHERE = ""  # the pattern found in any text: where a set does not find it, RE2 gave up


class Searches:
    """
    The patterns that conditions look for, by fact.

    Args:
        conditions: As written, and known to compile.
    """

    def __init__(self, conditions: Iterable[str]) -> None:
        wanted: dict[str, dict[str, None]] = defaultdict(dict)
        for condition in conditions:
            for fact, pattern in _sought(condition):
                wanted[fact][pattern] = None
        self._sets = {
            fact: _Set(tuple(patterns))
            for fact, patterns in wanted.items()
            if len(patterns) >= _WORTHWHILE_COUNT
        }

    def searched(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Return the facts; texts in which several patterns are looked for know which are there."""
        searched = dict(facts)
        for fact, patterns in self._sets.items():
            if isinstance(text := searched.get(fact), str):
                searched[fact] = patterns.searched(text)
        return searched


class _Set:
    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._patterns = patterns
        self._nothing = dict.fromkeys(patterns, False)
        self._set: re2.Set | None = re2.Set.SearchSet(pattern_options())
        try:
            for pattern in (_EVERYWHERE, *patterns):
                self._set.Add(pattern)
            self._set.Compile()
        except re2.error:  # too much for one search, though not for several
            self._set = None

    def searched(self, text: str) -> str:
        hits = self._set.Match(text) if self._set is not None else None
        if not hits or 0 not in hits:
            return text  # more states than RE2 has memory for: each pattern is then searched for alone
        if len(hits) == 1:
            return Searched.of(text, self._nothing)
        return Searched.of(text, {p: index in hits for index, p in enumerate(self._patterns, start=1)})


def _sought(condition: str) -> Iterable[tuple[str, str]]:
    """Yield the fact and the pattern of every `matches` in a condition."""
    before: tuple[Lexeme | None, Lexeme | None] = (None, None)
    lexeme = read_lexeme(condition, 0)
    while lexeme.kind != "end":
        fact, sign = before
        if fact is not None and sign is not None and sign.text == "matches" and lexeme.kind == "text":
            yield fact.text.lower(), quoted_of(lexeme)
        before = (sign, lexeme)
        lexeme = read_lexeme(condition, lexeme.at + len(lexeme.text))
