"""Patterns searched for together find what each finds alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from mailchute.comparisons import Searched
from mailchute.expressions import compile_expression

from functions.scan.rules import SHIPPED, read_rules
from functions.scan.searches import Searches

CONDITIONS = (
    'text matches "a+b"',
    "text matches '^ab' and not subject matches \"x\"",
    'TEXT matches "say \\"hi\\""',
    'subject matches "(?-i)^[A-Z]+$" or text contains "zz"',
    'header.x matches "once"',
)


@given(st.text(alphabet='abBxXz "hisay\n', max_size=30), st.text(alphabet="xXY", max_size=5))
def test_a_searched_text_answers_like_any_other(text: str, subject: str) -> None:
    facts = {"text": text, "subject": subject, "header.x": "once"}
    searched = Searches(CONDITIONS).searched(facts)
    for condition in map(compile_expression, CONDITIONS):
        assert condition.holds(searched) == condition.holds(facts)


def test_only_texts_that_several_patterns_are_looked_for_in_are_searched_together() -> None:
    facts = {"text": "aab", "subject": None, "header.x": "once"}
    searched = Searches(CONDITIONS).searched(facts)
    assert isinstance(searched["text"], Searched)
    assert searched["text"].found == {"a+b": True, "^ab": False, 'say "hi"': False}
    assert searched["subject"] is None
    assert type(searched["header.x"]) is str


def test_patterns_too_many_for_one_search_are_searched_for_alone() -> None:
    many = [f'text matches "(a|b)*a(a|b){{12}}x{n}[^q]{{40}}"' for n in range(2)]
    many += ['text matches "\\\\pL{1000}y"', 'text matches "hello"']
    facts = {"text": "ab" * 5_000 + "hello"}
    assert compile_expression(many[-1]).holds(Searches(many).searched(facts))


def test_the_shipped_rules_patterns_are_all_searched_for_together() -> None:
    rules = read_rules(SHIPPED)
    facts = {"text": "no risk", "subject": "hi", "html": "<p>"}
    searched = Searches(rule.when.text for rule in rules).searched(facts)
    found = searched["text"].found
    for rule in rules:
        if rule.when.text.startswith("text matches") and " and " not in rule.when.text:
            assert any(rule.when.text == f'text matches "{pattern}"' for pattern in found), rule.name
