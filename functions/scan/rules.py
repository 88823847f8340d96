"""The spam engine's rules: TOML files of conditions and scores, checked when they are read."""

from __future__ import annotations

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
_KEYS = frozenset({"name", "when", "score", "stop", "description"})

Place = tuple[int, int]  # line and column, both from 1


@dataclass(frozen=True)
class SpamRule:
    """One condition, and what it adds to the score when it holds."""

    name: str
    when: Expression
    score: float
    description: str
    stops: bool = False  # when it holds, no rule after it is asked


def read_rules(*folders: Path) -> tuple[SpamRule, ...]:
    """
    Return the rules of every *.toml file in these folders, those of the last folder first.

    A later rule replaces one of its name: so an operator's own replace shipped ones, and may, standing
    before them, stop the asking.

    Raises:
        BadSetting: A file cannot be used: one line per mistake, with file, line and column.
    """
    rules: dict[str, SpamRule] = {}
    mistakes: list[str] = []
    for folder in reversed(folders):
        found = {
            rule.name: rule for path in sorted(folder.glob("*.toml")) for rule in _rules_of(path, mistakes)
        }
        rules |= {name: rule for name, rule in found.items() if name not in rules}
    if mistakes:
        raise BadSetting("\n".join(mistakes))
    return tuple(rules.values())


def _rules_of(path: Path, mistakes: list[str]) -> list[SpamRule]:
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text).get("rule", [])
    except tomllib.TOMLDecodeError as error:
        mistakes.append(_syntax_mistake(path, text, str(error)))
        return []
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(f"{path}:1:1: cannot be read ({error})")
        return []
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        mistakes.append(f"{path}:1:1: rule is no list of tables: expected [[rule]]")
        return []
    places = _places_of(text)
    rules = []
    for number, table in enumerate(tables):
        rule = _rule_of(table, path, places[number] if number < len(places) else {"": (1, 1)})
        if isinstance(rule, str):
            mistakes.append(rule)
        else:
            rules.append(rule)
    return rules


def _rule_of(table: Mapping[str, Any], path: Path, places: Mapping[str, Place]) -> SpamRule | str:
    def at(key: str) -> str:
        line, column = places.get(key, places[""])
        return f"{path}:{line}:{column}"

    name, score, when = table.get("name"), table.get("score"), table.get("when")
    stops = table.get("stop", False)
    if unknown := sorted(set(table) - _KEYS):
        return f"{at(unknown[0])}: {unknown[0]} is no key of a rule: expected {', '.join(sorted(_KEYS))}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"{at('name')}: name is {name!r}: expected capitals such as FORGED_BULK"
    if not isinstance(score, (int, float)) or isinstance(score, bool) or not abs(score) <= SCORE_MAX:
        expected = f"expected a number from -{SCORE_MAX:g} to {SCORE_MAX:g}"
        return f"{at('score')}: score of {name} is {score!r}: {expected}"
    if not isinstance(stops, bool):
        return f"{at('stop')}: stop of {name} is {stops!r}: expected true or false"
    if not isinstance(when, str):
        return f"{at('when')}: {name} has no condition: expected when = '…'"
    try:
        condition = compile_expression(when, names=SPAM_FACTS)
    except ExpressionError as error:
        line, column = places.get("when", places[""])
        column = error.column if error.line > 1 else column + error.column - 1
        return f"{path}:{line + error.line - 1}:{column}: when of {name}: {error.reason}"
    return SpamRule(name, condition, float(score), str(table.get("description", "")), stops)


_RULE = re.compile(r"\s*\[\[\s*rule\s*\]\]")
_KEY = re.compile(r"""\s*([A-Za-z_-]+)\s*=\s*('''|\"""|'|")?(.*)""")
_AT = re.compile(r"\(at (?:line (\d+), column (\d+)|end of document)\)$")


def _places_of(text: str) -> list[dict[str, Place]]:
    """Return, for each rule in order, where the value of each key starts, and of "" the rule itself."""
    places: list[dict[str, Place]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if _RULE.match(line):
            places.append({"": (number, line.index("[") + 1)})
        elif places and (match := _KEY.match(line)):
            is_on_next = match[2] in ("'''", '"""') and not match[3]  # TOML drops the first line break
            at = (number + 1, 1) if is_on_next else (number, match.start(3) + 1)
            places[-1].setdefault(match[1], at)
    return places


def _syntax_mistake(path: Path, text: str, told: str) -> str:
    """Return tomllib's words with the place in front."""
    match = _AT.search(told)
    lines = text.splitlines() or [""]
    line, column = (match[1], match[2]) if match and match[1] else (len(lines), len(lines[-1]) + 1)
    return f"{path}:{line}:{column}: {_AT.sub('', told).strip()}"
