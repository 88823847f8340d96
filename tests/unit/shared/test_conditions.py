"""Conditions as plain JSON mean what the expressions beside them mean."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailchute.conditions import ConditionError, expression_of
from mailchute.expressions import RULE_FACTS, compile_expression

WRITTEN: list[tuple[Any, str]] = [
    ("spam.score >= 7", "spam.score >= 7"),
    ({"spam.score": {"gte": 7}}, "spam.score >= 7"),
    ({"spam.score": {"gte": 5, "lt": 7.5}}, "spam.score >= 5 and spam.score < 7.5"),
    ({"size": {"gt": "192KiB"}}, "size > 192KiB"),
    ({"sender.domain": "example.com", "virus": False}, 'sender.domain == "example.com" and virus == false'),
    (
        {"all": [{"sender.domain": "example.com"}, {"spam.score": {"gte": 7}}]},
        'sender.domain == "example.com" and spam.score >= 7',
    ),
    (
        {"any": [{"spf": ["fail", "softfail"]}, {"not": {"dkim.aligned": True}}], "size": {"lt": 9}},
        '(spf in ["fail", "softfail"] or not dkim.aligned == true) and size < 9',
    ),
    ({"attachments.extensions": "exe"}, 'attachments.extensions contains "exe"'),
    (
        {"not": {"attachments.extensions": ["exe", "scr"]}},
        'not (attachments.extensions contains "exe" or attachments.extensions contains "scr")',
    ),
    ({"attachments.types": {"matches": "^image/"}}, 'attachments.types matches "^image/"'),
    ({"header.List-Id": {"contains": 'a "b" \\ c'}}, 'header.List-Id contains "a \\"b\\" \\\\ c"'),
    ({"recipient.tag": {"not_in": ["a", 1]}}, 'recipient.tag not in ["a", "1"]'),
    ({"spam.symbols": {"not_in": ["A"]}}, 'not spam.symbols contains "A"'),
]
WRONG: list[tuple[Any, tuple[str | int, ...], str]] = [
    (None, (), "found nothing"),
    ([], (), "found a list"),
    ({}, (), "expected at least one"),
    ({"all": []}, ("all",), "expected at least one"),
    ({"all": {"spf": "pass"}}, ("all",), "expected a list of conditions"),
    ({"all": [{"any": [{"spam.scroe": 1}]}]}, ("all", 0, "any", 0, "spam.scroe"), "did you mean spam.score?"),
    ({"spam.score": "high"}, ("spam.score",), "expected a number, found 'high'"),
    ({"spam.score": True}, ("spam.score",), "expected a number"),
    ({"spam.score": {"gte": float("nan")}}, ("spam.score", "gte"), "expected a number"),
    ({"spam.score": [7]}, ("spam.score",), "a list means nothing to it"),
    ({"spam.score": {"contains": 7}}, ("spam.score", "contains"), "means nothing"),
    ({"spam.score": {"over": 7}}, ("spam.score", "over"), "expected one of eq, ne"),
    ({"spam.score": {}}, ("spam.score",), "expected at least one"),
    ({"virus": "yes"}, ("virus",), "expected true or false"),
    ({"subject": {"gt": "a"}}, ("subject", "gt"), "means nothing"),
    ({"subject": {"matches": "("}}, ("subject", "matches"), "not an RE2 pattern"),
    ({"subject": {"eq": ["a"]}}, ("subject", "eq"), "takes one value"),
    ({"subject": {"in": "a"}}, ("subject", "in"), "expected a list"),
    ({"subject": ["a", None]}, ("subject", 1), "expected text, found nothing"),
    ({"true or spf": "x"}, ("true or spf",), "is no fact"),
    ({"and": "x"}, ("and",), "is no fact"),
    ({"header": "x"}, ("header",), "there is no header"),
    ("spam.scroe > 7", (), "character 1"),
]


@pytest.mark.parametrize(("condition", "text"), WRITTEN, ids=[text for _, text in WRITTEN])
def test_a_plain_condition_is_written_as_an_expression(condition: Any, text: str) -> None:
    assert expression_of(condition) == text


@pytest.mark.parametrize(("condition", "place", "said"), WRONG, ids=[str(one[0])[:40] for one in WRONG])
def test_a_mistake_is_named_with_its_place(condition: Any, place: tuple[str | int, ...], said: str) -> None:
    with pytest.raises(ConditionError) as caught:
        expression_of(condition)
    assert caught.value.place == place
    assert said in caught.value.reason


def test_a_condition_is_neither_endlessly_deep_nor_endlessly_long() -> None:
    deep: Any = {"virus": True}
    for _ in range(10_000):
        deep = {"not": deep}
    with pytest.raises(ConditionError, match="nested too deeply"):
        expression_of(deep)
    shared: Any = {"virus": True}
    for _ in range(15):
        shared = {"any": [shared] * 10}
    with pytest.raises(ConditionError, match="longer than"):
        expression_of(shared)


# Each leaf is drawn together with the expression that a person would write for it, so neither is made
# from the other.
TEXTS = st.sampled_from(["", "a", "B", 'q"uote', "back\\slash", "both\\\"'", "grüße\nline"])
NUMBERS = st.one_of(st.integers(-20, 20), st.floats(-20, 20, allow_nan=False).map(lambda x: round(x, 3)))
SIGNS = {"eq": "==", "ne": "!=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
TEXT_FACTS = st.sampled_from(["subject", "header.x-a"])


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


LEAVES = st.one_of(
    st.tuples(st.sampled_from([*SIGNS]), NUMBERS).map(
        lambda one: ({"spam.score": {one[0]: one[1]}}, f"spam.score {SIGNS[one[0]]} {one[1]:.3f}")
    ),
    st.booleans().map(lambda one: ({"virus": one}, f"virus == {str(one).lower()}")),
    st.tuples(TEXT_FACTS, TEXTS).map(lambda one: ({one[0]: one[1]}, f"{one[0]} == {quoted(one[1])}")),
    st.tuples(TEXT_FACTS, TEXTS).map(
        lambda one: ({one[0]: {"contains": one[1]}}, f"{one[0]} contains {quoted(one[1])}")
    ),
    st.tuples(TEXT_FACTS, st.lists(TEXTS, max_size=3)).map(
        lambda one: ({one[0]: one[1]}, f"{one[0]} in [{', '.join(map(quoted, one[1]))}]")
    ),
    TEXTS.map(lambda one: ({"attachments.names": one}, f"attachments.names contains {quoted(one)}")),
)
Pair = tuple[Any, str]


def grouped(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    several = st.lists(inner, min_size=1, max_size=3)

    def together(key: str, word: str) -> st.SearchStrategy[Pair]:
        return several.map(
            lambda ones: ({key: [one[0] for one in ones]}, f" {word} ".join(f"({one[1]})" for one in ones))
        )

    return st.one_of(
        together("all", "and"),
        together("any", "or"),
        inner.map(lambda one: ({"not": one[0]}, f"not ({one[1]})")),
    )


CONDITIONS = st.recursive(LEAVES, grouped, max_leaves=8)
FACTS = st.fixed_dictionaries(
    {},
    optional={
        "spam.score": NUMBERS.map(float),
        "virus": st.one_of(st.none(), st.booleans()),
        "subject": TEXTS,
        "header.x-a": TEXTS,
        "attachments.names": st.lists(TEXTS, max_size=3).map(tuple),
    },
)


@given(CONDITIONS, FACTS)
def test_the_plain_form_and_the_expression_agree_about_every_mail(pair: Pair, facts: dict[str, Any]) -> None:
    plain, text = pair
    mine = compile_expression(expression_of(plain), names=RULE_FACTS)
    assert mine.holds(facts) == compile_expression(text, names=RULE_FACTS).holds(facts)


@given(CONDITIONS, FACTS)
def test_what_decided_is_enough_to_decide_it_again(pair: Pair, facts: dict[str, Any]) -> None:
    expression = compile_expression(expression_of(pair[0]))
    deciding = list(expression.clause.deciding(facts))
    assert deciding
    named = {name for one in deciding for name in one.names}
    known = {name: value for name, value in facts.items() if name in named}
    assert expression.holds(known) == expression.holds(facts)
    assert all(one.word == "" and one.text in expression.text for one in deciding)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.sampled_from(["all", "any", "not", "spf", "size", "gte"]), st.text(max_size=5)),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=10,
)


@given(JSON)
def test_any_json_is_a_condition_or_an_error_with_a_place(value: Any) -> None:
    try:
        text = expression_of(value)
    except ConditionError:
        return
    compile_expression(text, names=RULE_FACTS)
