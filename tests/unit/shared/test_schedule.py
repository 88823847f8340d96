"""When the next attempt is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailchute.schedule import GAPS_S, JITTER, attempt_number_of, next_attempt_in_s, offsets_of

FIRST = datetime(2026, 11, 21, 12, tzinfo=UTC)


def after(age_s: float) -> datetime:
    return FIRST + timedelta(seconds=age_s)


def due(age_s: float, *, now_s: float | None = None, **more: object) -> float | None:
    return next_attempt_in_s(
        "dlv_1",
        first_attempt_at=FIRST,
        attempted_at=after(age_s),
        now=after(age_s if now_s is None else now_s),
        **more,
    )


@given(st.text())
def test_every_gap_varies_by_a_fifth_at_most_and_each_delivery_has_its_own_for_ever(delivery_id: str) -> None:
    offsets = offsets_of(delivery_id)
    assert offsets == offsets_of(delivery_id)
    gaps = [offsets[0], *(b - a for a, b in pairwise(offsets))]
    for gap, wanted in zip(gaps, GAPS_S, strict=True):
        assert wanted * (1 - JITTER) - 1e-6 <= gap <= wanted * (1 + JITTER) + 1e-6


def test_the_last_attempt_comes_about_three_days_after_the_first() -> None:
    assert sum(GAPS_S) == 272_105  # 75.6 h


def test_the_delay_leads_to_the_next_of_the_summed_offsets() -> None:
    offsets = offsets_of("dlv_1")
    for here, there in pairwise(offsets):
        assert due(here) == pytest.approx(there - here, abs=1e-3)


def test_time_lost_before_the_delay_is_asked_for_is_not_added() -> None:
    second = offsets_of("dlv_1")[1]
    assert due(0, now_s=2) == pytest.approx(second - 2, abs=1e-3)
    assert due(0, now_s=60) == 0


def test_an_extra_attempt_adds_nothing_and_an_outage_skips_what_it_covered() -> None:
    offsets = offsets_of("dlv_1")
    assert due(1) == pytest.approx(offsets[1] - 1, abs=1e-3)
    long_after = offsets[4] + 1
    assert due(long_after) == pytest.approx(offsets[5] - long_after, abs=1e-3)


@pytest.mark.parametrize("gaps_s", [GAPS_S, (0.0,), (0.0, 1.0), (0.0, 0.0)])
def test_it_is_exhausted_by_an_attempt_at_or_past_the_last_offset(gaps_s: tuple[float, ...]) -> None:
    last = offsets_of("dlv_1", gaps_s)[-1]
    assert due(last, gaps_s=gaps_s) is None
    assert due(last + 1, gaps_s=gaps_s) is None
    if last:
        assert due(last * 0.5, gaps_s=gaps_s) is not None


def test_an_attempt_a_little_early_by_another_machines_clock_counts_as_the_one_due() -> None:
    offsets = offsets_of("dlv_1")
    early = offsets[1] * 0.95
    assert attempt_number_of("dlv_1", age_s=early) == 2
    assert due(early) == pytest.approx(offsets[2] - early, abs=1e-3)


def test_attempts_are_numbered_by_the_schedule() -> None:
    offsets = offsets_of("dlv_1")
    assert [attempt_number_of("dlv_1", age_s=offset_s) for offset_s in offsets] == list(range(1, 11))
    assert attempt_number_of("dlv_1", age_s=-5) == 1


@pytest.mark.parametrize(
    ("asked_s", "factor"),
    [(0, 1), (1, 1), (8, None), (3_600, 2)],
    ids=["nothing", "less than ours", "more than ours", "far more"],
)
def test_retry_after_is_heeded_up_to_twice_our_own_delay(asked_s: float, factor: float | None) -> None:
    own = offsets_of("dlv_1")[1]
    wanted = asked_s if factor is None else factor * own
    assert due(0, retry_after_s=asked_s) == pytest.approx(wanted, abs=1e-3)
