"""Replies as the common mail clients write them."""

from __future__ import annotations

import pytest

from bench import corpus_rest
from bench.corpus_score import CORPUS

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not (CORPUS / "replies").is_dir(), reason="no corpus: 12 replies not read"),
]


def test_standard_replies_are_parted_from_what_they_quote() -> None:
    assert corpus_rest.replies().misses == []
