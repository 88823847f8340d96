"""DMARC and TLS reports of many senders, and broken ones."""

from __future__ import annotations

import pytest

from bench import corpus_rest
from bench.corpus_score import CORPUS

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not (CORPUS / "reports").is_dir(), reason="no corpus: 28 reports not read"),
]


def test_reports_are_known_for_what_they_are() -> None:
    assert set(corpus_rest.reports().misses) <= set(corpus_rest.BROKEN)
