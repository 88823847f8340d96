"""The spam engine's rules: TOML files of conditions and scores, checked when they are read."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailchute.errors import BadSetting
from mailchute.expressions import Expression, ExpressionError, compile_expression

from .spam_facts import SPAM_FACTS

SCORE_MAX = 100.0  # of one rule, up or down
SHIPPED = Path(__file__).with_name("rules")

_NAME = re.compile(r"[A-Z][A-Z0-9_]{2,60}")
_KEYS = frozenset({"name", "when", "score", "description"})


@dataclass(frozen=True)
class SpamRule:
    """One condition, and what it adds to the score when it holds."""

    name: str
    when: Expression
    score: float
    description: str


def read_rules(*folders: Path) -> tuple[SpamRule, ...]:
    """
    Return the rules of every *.toml file in these folders; a later rule replaces one of its name.

    Raises:
        BadSetting: A file cannot be used: one line per mistake, with file, line and column.
    """
    rules: dict[str, SpamRule] = {}
    mistakes: list[str] = []
    for path in (path for folder in folders for path in sorted(folder.glob("*.toml"))):
        for rule in _rules_of(path, mistakes):
            rules[rule.name] = rule
    if mistakes:
        raise BadSetting("\n".join(mistakes))
    return tuple(rules.values())


def _rules_of(path: Path, mistakes: list[str]) -> list[SpamRule]:
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text).get("rule", [])
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(f"{path}: cannot be read ({error})")
        return []
    except tomllib.TOMLDecodeError as error:
        mistakes.append(f"{path}: {error}")
        return []
    places = _places_of(text)
    rules = []
    for number, table in enumerate(tables):
        line, when_at = places[number] if number < len(places) else (1, None)
        rule = _rule_of(table, f"{path}:{line}", f"{path}", when_at)
        if isinstance(rule, str):
            mistakes.append(rule)
        else:
            rules.append(rule)
    return rules


def _rule_of(
    table: Mapping[str, Any], place: str, file: str, when_at: tuple[int, int] | None
) -> SpamRule | str:
    name, score, when = table.get("name"), table.get("score"), table.get("when")
    if unknown := sorted(set(table) - _KEYS):
        return f"{place}: {unknown[0]} is no key of a rule: expected {', '.join(sorted(_KEYS))}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"{place}: name is {name!r}: expected capitals such as FORGED_BULK"
    if not isinstance(score, (int, float)) or not math.isfinite(score) or abs(score) > SCORE_MAX:
        return (
            f"{place}: score of {name} is {score!r}: expected a number from -{SCORE_MAX:g} to {SCORE_MAX:g}"
        )
    if not isinstance(when, str):
        return f"{place}: {name} has no condition: expected when = '…'"
    try:
        condition = compile_expression(when, names=SPAM_FACTS)
    except ExpressionError as error:
        line, column = when_at or (0, 0)
        column = error.column if error.line > 1 else column + error.column - 1
        return f"{file}:{line + error.line - 1}:{column}: when of {name}: {error.reason}"
    return SpamRule(name, condition, float(score), str(table.get("description", "")))


_RULE = re.compile(r"\s*\[\[\s*rule\s*\]\]")
_WHEN = re.compile(r"""(\s*when\s*=\s*(?:'''|\"""|'|"))(.*)""")


def _places_of(text: str) -> list[tuple[int, tuple[int, int] | None]]:
    """Return, for each rule in order, its line, and the line and column where its condition starts."""
    places: list[tuple[int, tuple[int, int] | None]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if _RULE.match(line):
            places.append((number, None))
        elif places and (match := _WHEN.match(line)):
            opens = match[1].rstrip()
            is_on_next = opens[-3:] in ("'''", '"""') and not match[2]  # TOML drops the first line break
            at = (number + 1, 1) if is_on_next else (number, match.start(2) + 1)
            places[-1] = (places[-1][0], at)
    return places
