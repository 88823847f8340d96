"""Bounces of two decades of mailers, and feedback reports."""

from __future__ import annotations

import pytest

from bench import corpus_rest
from bench.corpus_score import CORPUS, OURS

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not (CORPUS / "bounces").is_dir(), reason="no corpus: 121 bounces not read"),
]


def test_nine_of_ten_bounces_name_who_was_not_reached() -> None:
    score = corpus_rest.bounces()
    assert score.right[OURS] >= 108


def test_feedback_reports_are_complaints() -> None:
    assert corpus_rest.complaints().misses == []
