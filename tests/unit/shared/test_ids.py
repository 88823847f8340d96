"""Ids sort by time, and derived ids are the same whenever they are made again."""

import re

import pytest
from mailchute.ids import PREFIXES, derived_id, new_id


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_id_is_its_prefix_and_twenty_six_characters_of_crockfords_alphabet(prefix):
    assert re.fullmatch(prefix + "_[0-9A-HJKMNP-TV-Z]{26}", new_id(prefix))


def test_ids_sort_by_the_time_they_were_made():
    stamps = [0, 1, 1_000, 1_763_000_000_000, 1_763_000_000_001, (1 << 48) - 1]
    ids = [new_id("msg", now_ms=stamp) for stamp in stamps]
    assert ids == sorted(ids)


def test_the_ulid_of_the_specifications_example_time_begins_as_it_says():
    # https://github.com/ulid/spec: 1469918176385 ms is written 01ARYZ6S41.
    assert new_id("msg", now_ms=1_469_918_176_385, entropy=bytes(10)) == "msg_01ARYZ6S41" + "0" * 16


def test_two_ids_of_one_millisecond_differ():
    assert len({new_id("msg", now_ms=5) for _ in range(1_000)}) == 1_000


def test_a_derived_id_depends_on_its_parts_and_on_where_they_are_divided():
    assert derived_id("dlv", "a", "b") == derived_id("dlv", "a", "b")
    assert derived_id("dlv", "a", "b") != derived_id("dlv", "ab", "")
    assert derived_id("dlv", "a", "b") != derived_id("evt", "a", "b")


@pytest.mark.parametrize("parts", [("",), ("x" * 10_000,), ("ä", "€")])
def test_an_id_is_a_safe_token_for_a_subject_a_file_and_a_signature(parts):
    assert re.fullmatch("[a-z]{3}_[A-Z0-9]+", derived_id("dlv", *parts))
