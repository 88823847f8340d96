"""MIME structure, against what mime4j, mailcore2 and MimeKit make of their own test data."""

from __future__ import annotations

import pytest

from bench import corpus_mime, corpus_rest
from bench.corpus_score import CORPUS, OURS

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not (CORPUS / "mime").is_dir(), reason="no corpus: 777 messages not read"),
]


def test_every_message_is_read_without_an_exception_and_says_something() -> None:
    score, slowest_s = corpus_rest.survival()
    assert set(score.misses) <= set(corpus_rest.BROKEN)
    assert score.of > 700
    assert slowest_s < corpus_rest.SLOW_S


def test_leaves_have_the_octets_that_mime4j_decodes_or_more() -> None:
    equal, kept = corpus_mime.mime4j()
    assert set(equal.misses) <= set(corpus_mime.MEANT)
    assert equal.right[OURS] >= 152
    assert kept.right[OURS] >= 158


def test_leaves_and_file_names_are_those_of_mailcore2() -> None:
    leaves, names = corpus_mime.mailcore2()
    assert set(leaves.misses) <= set(corpus_mime.MEANT)
    assert names.misses == []


def test_from_subject_and_tree_are_those_of_mimekit() -> None:
    froms, subjects, trees = corpus_mime.jwz()
    assert set(froms.misses) <= set(corpus_mime.MEANT)
    assert subjects.misses == []
    assert trees.misses == []
