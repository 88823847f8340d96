"""The small language of conditions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailchute.expressions import RULE_FACTS, ExpressionError, compile_expression

FACTS: dict[str, Any] = {
    "spam.score": 7.5,
    "subject": "Hello [SALE] now",
    "sender.domain": "Partner.example",
    "sender.authenticated": True,
    "attachments.extensions": ("exe", "pdf"),
    "attachments.count": 2.0,
    "header.list-id": "<news.x>",
    "size": 2000.0,
    "spf": "pass",
}
TRUE = [
    "spam.score >= 7",
    "spam.score > 7 and spam.score < 8",
    "spam.score >= 7 and not sender.domain in ['other.example']",
    'sender.domain == "partner.example"',
    "sender.domain in ['a.example', 'PARTNER.example']",
    "sender.domain not in ['a.example']",
    'subject contains "sale"',
    r'subject matches "^hello.*\[sale\]"',
    'attachments.extensions contains "EXE"',
    "'exe' in attachments.extensions",
    "attachments.extensions matches '^(exe|scr)$'",
    "sender.authenticated",
    "not (spf == 'fail' or spf == 'softfail')",
    "sender.authenticated == true",
    "size > 1KiB and size < 1.5MiB",
    "spam.score != -1",
    "header.list-id contains 'news'",
    "not header.x-none contains 'a'",
    "spf == 'fail' or spf == 'pass' and spam.score > 1",
    "not spf == 'fail' and not spf == 'none'",
]
FALSE = [
    "spam.probability > 0.1",
    "spam.probability <= 0.1",
    "header.x-none != 'a'",
    "spf == 'pass' and spam.score < 1",
    "not spf == 'pass' or spam.score < 1",
    "subject == 'hello'",
]
WRONG = {
    "spam.scor > 1": (1, "did you mean spam.score"),
    'spam.score >= "7"': (12, "means nothing"),
    "subject": (1, "compare it with something"),
    "subject == ": (12, "expected a fact or a value"),
    "": (1, "expected a fact or a value"),
    "(spam.score > 1": (16, "expected )"),
    "spam.score > 1 )": (16, "expected and, or, or the end"),
    'subject matches "("': (17, "not an RE2 pattern"),
    "subject matches subject": (17, "pattern in quotation marks"),
    "spam.score > 1 & 2": (16, "means nothing"),
    "spam.score not 3": (16, 'expected "in"'),
    "header == 'x'": (1, "there is no header"),
    "'abc": (1, "means nothing"),
    "subject in [subject]": (13, "values only"),
    "subject in ['a' 'b']": (17, "expected ,"),
    "subject in ['a'": (16, "expected ,"),
    "(" * 60: (51, "nested too deeply"),
    "not " * 60 + "spf == 'pass'": (201, "nested too deeply"),
    "spf == 'x' or\n  spam.scor > 1": (3, "there is no spam.scor"),
}


@pytest.mark.parametrize("text", TRUE)
def test_a_condition_that_is_true_holds(text: str) -> None:
    assert compile_expression(text, names=RULE_FACTS).holds(FACTS)


@pytest.mark.parametrize("text", FALSE)
def test_a_condition_that_is_false_does_not_hold(text: str) -> None:
    assert not compile_expression(text, names=RULE_FACTS).holds(FACTS)


@pytest.mark.parametrize(("text", "where"), WRONG.items(), ids=[t[:30] for t in WRONG])
def test_a_mistake_is_named_with_its_column(text: str, where: tuple[int, str]) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, names=RULE_FACTS)
    assert (caught.value.column, caught.value.line) == (where[0], text.count("\n") + 1)
    assert where[1] in str(caught.value)


def test_a_condition_is_not_endless() -> None:
    with pytest.raises(ExpressionError, match="longer than"):
        compile_expression("a == 'b' or " * 1000 + "a == 'b'")


def test_names_may_be_anything_when_none_are_given() -> None:
    condition = compile_expression("some.thing > 3 and other")
    assert condition.names == {"some.thing", "other"}
    assert condition.holds({"some.thing": 4, "other": "yes"})
    assert not condition.holds({"some.thing": "text", "other": "yes"})


def test_a_pattern_cannot_be_made_to_crawl() -> None:
    """An engine that tries every way to match would need 2^100000 steps."""
    condition = compile_expression("subject matches '(a+)+$'")
    assert not condition.holds({"subject": "a" * 100_000 + "b"})


@given(st.text(max_size=80))
def test_any_text_is_a_condition_or_an_error_with_a_place(text: str) -> None:
    place = (1, 1)
    try:
        compile_expression(text).holds(FACTS)
    except ExpressionError as error:
        place = (error.line, error.column)
    assert min(place) >= 1
