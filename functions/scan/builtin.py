"""The built-in spam engine: the scores of the rules that hold, added up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mailchute.verdicts import Spam, Symbol

from .rules import SpamRule

# Rspamd's actions and where they begin on its scale (rspamd.com/doc/configuration/metrics.html).
ACTIONS = ((15.0, "reject"), (6.0, "add header"), (4.0, "greylist"))
STEEPNESS = 0.55  # of the probability: 5 points over the threshold are 94 %


def judge(rules: Sequence[SpamRule], facts: Mapping[str, Any], threshold: float) -> Spam:
    """
    Return the verdict of the built-in engine.

    Args:
        threshold: The score from which a mail is called spam, on Rspamd's scale.
    """
    hit = [rule for rule in rules if rule.when.holds(facts)]
    symbols = tuple(Symbol(name=rule.name, score=rule.score, description=rule.description) for rule in hit)
    return verdict_of(symbols, sum(rule.score for rule in hit), threshold, engine="builtin")


def verdict_of(
    symbols: tuple[Symbol, ...], score: float, threshold: float, *, engine: str, action: str | None = None
) -> Spam:
    """Return the verdict for a score, whoever computed it."""
    score = round(score, 2)
    return Spam(
        is_spam=score >= threshold,
        score=score,
        threshold=threshold,
        probability=probability_of(score, threshold),
        engine=engine,
        action=action or next((name for least, name in ACTIONS if score >= least), "no action"),
        symbols=symbols,
    )


def probability_of(score: float, threshold: float) -> float:
    """Return how sure we are that it is spam: 0..1, 0.5 at the threshold, monotone in the score."""
    exponent = max(-60.0, min(60.0, -STEEPNESS * (score - threshold)))
    return round(1 / (1 + math.exp(exponent)), 4)
