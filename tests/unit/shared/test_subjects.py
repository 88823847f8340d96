"""Names in JetStream."""

from __future__ import annotations

import re

from mailchute import subjects
from mailchute.ids import derived_id, new_id


def test_a_lane_is_named_so_that_jetstream_takes_it() -> None:
    name = subjects.lane_name_of(new_id("end"))
    assert re.fullmatch(r"[A-Za-z0-9_-]+", name)


def test_message_ids_tell_apart_what_is_different_work() -> None:
    mail, endpoint, run = new_id("msg"), new_id("end"), new_id("run")
    ids = {
        subjects.fresh_id_of(mail, endpoint, "0"),
        subjects.fresh_id_of(mail, endpoint, run),
        subjects.retry_id_of(mail, endpoint, "0"),
        subjects.retry_id_of(mail, endpoint, run),
        subjects.dead_id_of(mail, "parse", "0"),
        subjects.dead_id_of(mail, "deliver", "0", endpoint),
        subjects.dead_id_of(mail, "deliver", run, endpoint),
    }
    assert len(ids) == 7


def test_derived_ids_keep_to_the_letters_of_a_subject_token() -> None:
    assert re.fullmatch(r"dlv_[A-Z2-7]+", derived_id("dlv", "a.b", "*", ">"))
