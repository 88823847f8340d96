"""Bounces of two decades of mailers, and feedback reports."""

from __future__ import annotations

import pytest

from bench import corpus_rest
from bench.corpus_score import CORPUS

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not (CORPUS / "bounces").is_dir(), reason="no corpus: 121 bounces not read"),
]


def test_bounces_are_known_for_what_they_are_and_other_mail_is_none() -> None:
    assert corpus_rest.bounces().misses == []


def test_feedback_reports_are_complaints() -> None:
    assert corpus_rest.complaints().misses == []
