"""The built-in spam engine: the scores of the rules that hold, added up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailchute.verdicts import Spam, Symbol

from .rules import SpamRule

# Rspamd's actions and where they begin on its scale (rspamd.com/doc/configuration/metrics.html).
ACTIONS = ((15.0, "reject"), (6.0, "add header"), (4.0, "greylist"))


@dataclass(frozen=True)
class Curve:
    """How an engine's score becomes a probability: two logistic arms that meet at the threshold in 0.5."""

    knee: float | None  # the score from which doubt begins; None: at the threshold, as above it
    below: float  # steepness under the threshold
    above: float


# Fitted to one half of the corpus and checked on the other (`make spam-report`). Spam begins to prevail at a
# score of about 2, far under the usual threshold, so doubt is wide there: from 2 to 5 it says 0.4 to 0.5.
BUILTIN = Curve(knee=1.4, below=2.0, above=2.0)
FOREIGN = Curve(knee=None, below=0.55, above=0.55)  # nothing was measured: 5 points over are 94 %


def judge(rules: Sequence[SpamRule], facts: Mapping[str, Any], threshold: float) -> Spam:
    """
    Return the verdict of the built-in engine.

    Args:
        threshold: The score from which a mail is called spam, on Rspamd's scale.
    """
    hit: list[SpamRule] = []
    for rule in rules:
        if rule.when.holds(facts):
            hit.append(rule)
            if rule.stops:
                break
    symbols = tuple(Symbol(name=rule.name, score=rule.score, description=rule.description) for rule in hit)
    return verdict_of(symbols, sum(rule.score for rule in hit), threshold, engine="builtin")


def verdict_of(
    symbols: tuple[Symbol, ...],
    score: float,
    threshold: float,
    *,
    engine: str,
    action: str | None = None,
    curve: Curve = BUILTIN,
) -> Spam:
    """Return the verdict for a score, whoever computed it."""
    score = round(score, 2)
    return Spam(
        is_spam=score >= threshold,
        score=score,
        threshold=threshold,
        probability=probability_of(score, threshold, curve),
        engine=engine,
        action=action or next((name for least, name in ACTIONS if score >= least), "no action"),
        symbols=symbols,
    )


def probability_of(score: float, threshold: float, curve: Curve = BUILTIN) -> float:
    """Return how sure we are that it is spam: 0..1, 0.5 at the threshold, monotone in the score."""
    if score > threshold:
        return round(math.exp(_log_logistic(curve.above * (score - threshold))), 4)
    knee = threshold if curve.knee is None else curve.knee
    reached = _log_logistic(curve.below * (score - knee)) - _log_logistic(curve.below * (threshold - knee))
    return round(0.5 * math.exp(reached), 4)


def _log_logistic(x: float) -> float:
    """Return ln(1 / (1 + e^-x)), where neither part may overflow."""
    return x - math.log1p(math.exp(x)) if x < 0 else -math.log1p(math.exp(-x))
