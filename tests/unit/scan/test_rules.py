"""The spam rules: read, checked, and where a mistake stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from mailchute.errors import BadSetting

from functions.scan.builtin import BUILTIN, FOREIGN, Curve, judge, probability_of, verdict_of
from functions.scan.rules import SHIPPED, read_rules

RULE = '[[rule]]\nname = "X_RULE"\nwhen = \'spf == "fail"\'\nscore = 2.5\ndescription = "d"\n'


def write(folder: Path, text: str) -> Path:
    (folder / "own.toml").write_text(text)
    return folder


def test_the_shipped_rules_can_be_read() -> None:
    rules = read_rules(SHIPPED)
    assert len(rules) >= 40
    assert all(rule.description for rule in rules)


def test_own_rules_are_added_and_replace_shipped_ones_of_their_name(tmp_path: Path) -> None:
    own = RULE + RULE.replace("X_RULE", "SPF_FAIL").replace("2.5", "0.5")
    by_name = {rule.name: rule for rule in read_rules(SHIPPED, write(tmp_path, own))}
    assert (by_name["X_RULE"].score, by_name["SPF_FAIL"].score) == (2.5, 0.5)


MISTAKES = {
    "no TOML": ("[[rule]\n", "own.toml:1:7: ", "Expected"),
    "TOML that ends early": (RULE + "when2 = '''x", "own.toml:", "Expected"),
    "a key twice": (RULE + 'name = "Y"\n', "own.toml:6:11: ", "Cannot overwrite"),
    "no list": ("rule = 1\n", "own.toml:1:1: ", "expected [[rule]]"),
    "no tables": ("rule = [1]\n", "own.toml:1:1: ", "expected [[rule]]"),
    "an unknown fact": (RULE.replace("spf ==", "spff =="), "own.toml:3:9: ", "there is no spff"),
    "a mistake inside": (RULE.replace('"fail"', '"fail" andd'), "own.toml:3:23: ", "expected and, or"),
    "kinds that do not fit": (RULE.replace('"fail"', "3"), "own.toml:3:13: ", "means nothing"),
    "a bad pattern": (RULE.replace('== "fail"', 'matches "("'), "own.toml:3:21: ", "RE2"),
    "a bad name": (RULE.replace("X_RULE", "x"), "own.toml:2:9: ", "capitals"),
    "a bad score": (RULE.replace("2.5", '"high"'), "own.toml:4:10: ", "expected a number"),
    "a score of true": (RULE.replace("2.5", "true"), "own.toml:4:9: ", "expected a number"),
    "an endless score": (RULE.replace("2.5", "inf"), "own.toml:4:9: ", "expected a number"),
    "a bad stop": (RULE + "stop = 1\n", "own.toml:6:8: ", "expected true or false"),
    "no score": (RULE.replace("score = 2.5\n", ""), "own.toml:1:1: ", "expected a number"),
    "no condition": ('\n[[rule]]\nname = "X_RULE"\nscore = 1\n', "own.toml:2:1: ", "no condition"),
    "an unknown key": (RULE.replace("when", "wenn"), "own.toml:3:9: ", "wenn is no key"),
    "on several lines": (
        "[[rule]]\nname = \"X_RULE\"\nscore = 1\nwhen = '''\nspf == \"fail\"\n  and spff == \"x\"'''\n",
        "own.toml:6:7: ",
        "there is no spff",
    ),
}


@pytest.mark.parametrize(("text", "place", "reason"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_its_file_and_place(
    tmp_path: Path, text: str, place: str, reason: str
) -> None:
    with pytest.raises(BadSetting) as caught:
        read_rules(write(tmp_path, text))
    assert f"/{place}" in str(caught.value)
    assert reason in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadSetting) as caught:
        read_rules(write(tmp_path, MISTAKES["an unknown fact"][0] + MISTAKES["a bad name"][0]))
    assert len(str(caught.value).splitlines()) == 2


def test_a_rule_that_stops_ends_the_asking_and_own_rules_come_first(tmp_path: Path) -> None:
    own = RULE.replace("X_RULE", "PARTNER").replace("2.5", "-9") + "stop = true\n" + RULE
    rules = read_rules(SHIPPED, write(tmp_path, own))
    assert [rule.name for rule in rules[:2]] == ["PARTNER", "X_RULE"]
    spam = judge(rules, {"spf": "fail"}, 5.0)
    assert [(symbol.name, symbol.score) for symbol in spam.symbols] == [("PARTNER", -9.0)]
    assert "PARTNER" not in {symbol.name for symbol in judge(rules, {"spf": "none"}, 5.0).symbols}


def test_scores_add_up_to_a_verdict(tmp_path: Path) -> None:
    rules = read_rules(write(tmp_path, RULE + RULE.replace("X_RULE", "Y_RULE")))
    spam = judge(rules, {"spf": "fail"}, 5.0)
    assert (spam.score, spam.is_spam, spam.engine) == (5.0, True, "builtin")
    assert [symbol.name for symbol in spam.symbols] == ["X_RULE", "Y_RULE"]
    assert not judge(rules, {"spf": "pass"}, 5.0).is_spam


@pytest.mark.parametrize("curve", [BUILTIN, FOREIGN], ids=["builtin", "foreign"])
@pytest.mark.parametrize("threshold", [-20.0, 0.0, 1.4, 5.0, 15.0, 100.0])
def test_the_probability_is_half_at_the_threshold_and_monotone(threshold: float, curve: Curve) -> None:
    assert probability_of(threshold, threshold, curve) == 0.5
    probabilities = [probability_of(score / 2, threshold, curve) for score in range(-400, 400)]
    assert probabilities == sorted(probabilities)
    assert 0 <= probabilities[0] < 0.001
    assert 0.999 < probabilities[-1] <= 1


@pytest.mark.parametrize(
    ("score", "low", "high"), [(-2, 0, 0.01), (0, 0, 0.05), (2, 0.3, 0.45), (4, 0.45, 0.5), (7, 0.95, 1)]
)
def test_the_probability_says_what_share_of_such_mail_is_spam(score: float, low: float, high: float) -> None:
    """As far as 0.5 at the threshold lets it: the shares are those of `make spam-report`."""
    assert low <= probability_of(score, 5.0) <= high


@pytest.mark.parametrize(
    ("score", "action"), [(0, "no action"), (4, "greylist"), (6, "add header"), (15, "reject")]
)
def test_actions_are_rspamds(score: float, action: str) -> None:
    assert verdict_of((), score, 5.0, engine="builtin").action == action
