"""Calendars of the icalendar project, its fuzzer's finds among them."""

from __future__ import annotations

import pytest

from bench import corpus_rest
from bench.corpus_score import CORPUS

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not (CORPUS / "icalendar").is_dir(), reason="no corpus: 197 calendars not read"),
]


def test_calendars_with_events_give_events_and_none_raises() -> None:
    score = corpus_rest.calendars()
    assert score.misses == []
    assert score.of == 197
