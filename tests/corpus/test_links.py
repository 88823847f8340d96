"""linkify-it's own tests."""

from __future__ import annotations

import pytest

from bench import corpus_rest
from bench.corpus_score import CORPUS

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not (CORPUS / "links").is_dir(), reason="no corpus: 155 texts not read"),
]


def test_every_link_is_found_and_nothing_else() -> None:
    found, left = corpus_rest.links()
    assert found.misses == []
    assert left.misses == []
