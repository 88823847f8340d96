"""A mail's story as a person reads it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from mailchute.delivery import delivery_id_of
from mailchute.schedule import GAPS_S, offsets_of
from mailchute.store.mails import AttemptView, DeliveryView, MailView
from mailchute_cli.history import size_of, span_of, told

BEGIN = datetime(2026, 11, 21, 12, tzinfo=UTC)
RUN = "run_01KAJ000000000000000000000"


def mail(**more: Any) -> MailView:
    fields: dict[str, Any] = dict.fromkeys(
        ("message_id", "size_octets", "spam_score", "is_spam", "ended_at", "reason", "stage")
    )
    given = {
        "id": "msg_1", "state": "failed", "domain_id": "dom_1", "alias_id": "als_1",
        "recipient": "support@inbox.test", "subject": "Invoice\x1b[31m", "attachments": (),
        "accepted_at": BEGIN, "duplicate_count": 2, "mail_sequence": 1,
    }  # fmt: skip
    return MailView(**fields | given | more)


def delivery(endpoint: str, state: str, run: str = "0", dead: str | None = None) -> DeliveryView:
    return DeliveryView(
        id=delivery_id_of("msg_1", endpoint, run),
        mail_id="msg_1",
        endpoint_id=endpoint,
        run=run,
        state=state,
        created_at=BEGIN,
        ended_at=None,
        attempt_count=1,
        last_status=None,
        last_reason=None,
        dead_reason=dead,
    )


def attempt(
    of: DeliveryView, second: float, number: int, status: int | None, reason: str = ""
) -> AttemptView:
    return AttemptView(
        delivery_id=of.id,
        endpoint_id=of.endpoint_id,
        run=of.run,
        number=number,
        result="delivered" if status == 200 else "failed",
        status=status,
        reason=reason,
        started_at=BEGIN + timedelta(seconds=second),
        duration_s=0.012,
        retry_after_s=None,
        response="" if status == 200 else "<h1>no\x07</h1>",
    )


def test_every_attempt_is_told_in_its_turn_with_what_to_do_and_when_the_next_is_due() -> None:
    first, again = delivery("end_a", "dead", dead="exhausted"), delivery("end_a", "failed", RUN)
    other = delivery("end_gone", "delivered")
    tries = [
        attempt(first, 1, 1, 404, "404: check the URL"),
        attempt(other, 1.5, 1, 200),
        attempt(first, 307, 3, None, "no answer"),
        attempt(again, 900, 1, 502, "502: its own log says why"),
    ]
    lines = list(
        told(mail(), [again, other, first], tries, urls={"end_a": "https://a.example"}, gaps_s=GAPS_S)
    )
    text = "\n".join(lines)
    assert lines[0] == "msg_1  failed"
    assert not {"\x1b", "\x07"} & set(text)
    assert "2 times, stored once" in text
    heads = [line for line in lines if line.startswith(("to ", "replay "))]
    assert set(heads[:2]) == {
        "to https://a.example (end_a)  dead: exhausted",
        "to an endpoint that is no more (end_gone)  delivered",
    }
    assert heads[2] == f"replay {RUN} to https://a.example (end_a)  failed"
    assert "  2  2026-11-21 12:05:07Z  +5.1 min  failed  -       0.012 s  no answer" in lines
    assert "  its answer to #2: <h1>no\ufffd</h1>" in lines
    due_at = BEGIN + timedelta(seconds=900 + offsets_of(again.id)[1])
    assert lines[-1] == f"  next attempt    {due_at.isoformat(' ', 'seconds')[:19]}Z, by the schedule"


@pytest.mark.parametrize(
    ("view", "first", "last"),
    [
        (mail(state="rejected", reason="spam.score >= 7"), "msg_1  rejected: by the rule spam.score >= 7",
         "owed to no endpoint"),
        (mail(state="dead", reason="three crashes", stage="parse"), "msg_1  dead: three crashes (at parse)",
         "owed to no endpoint"),
        (mail(state="pending"), "msg_1  pending", "owed to no endpoint yet"),
    ],
)  # fmt: skip
def test_a_mail_that_is_owed_to_nobody_says_why(view: MailView, first: str, last: str) -> None:
    lines = list(told(view, [], [], urls={}, gaps_s=GAPS_S))
    assert (lines[0], lines[-1]) == (first, last)


def test_sizes_and_spans_are_small_numbers() -> None:
    assert [size_of(each) for each in (7, 5_000, 3 * 1024**2)] == ["7 octets", "4.9 KiB", "3.0 MiB"]
    assert [span_of(each) for each in (0, 90, 300, 9_000, 259_200)] == [
        "+0.0 s", "+90.0 s", "+5.0 min", "+2.5 h", "+3.0 d",
    ]  # fmt: skip
