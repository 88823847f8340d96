"""No order and no repetition changes what the facts make of a mail."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailchute.delivery import AttemptOutcome, delivery_id_of
from mailchute.journal import Event, Kind, event_id_of
from mailchute.parsed import AttachmentSummary, MailSummary
from mailchute.schedule import DEAD_RETENTION_S

from functions.record.fold import Ledger

BEGIN = datetime(2026, 11, 21, 12, tzinfo=UTC)
REPLAY = "run_01KAJ000000000000000000000"


def told(kind: Kind, second: float = 0, *, mail: str = "msg_1", run: str = "0", **fields: Any) -> Event:
    return Event(
        id=event_id_of(
            kind, mail, run=run, endpoint_id=fields.get("endpoint_id", ""), attempt=fields.get("attempt", 0)
        ),
        kind=kind, at=BEGIN + timedelta(seconds=second), mail_id=mail, run=run,
        account_id="acc_1", domain_id="dom_1", alias_id="als_1", **fields,
    )  # fmt: skip


def summary(subject: str) -> MailSummary:
    return MailSummary(
        message_id="<1@a.test>", recipient="support@inbox.test", subject=subject, size_octets=10,
        attachments=(AttachmentSummary(filename="a\x00.pdf", content_type="application/pdf", size_octets=3),),
    )  # fmt: skip


def outcome(result: Any, status: int | None = None, second: float = 0) -> AttemptOutcome:
    return AttemptOutcome(
        result=result, status=status, reason=f"{status}", started_at=BEGIN + timedelta(seconds=second),
        duration_s=0.1,
    )  # fmt: skip


def attempted(second: float, endpoint: str, number: int, result: str, status: int, **fields: Any) -> Event:
    return told(
        "attempted",
        second,
        endpoint_id=endpoint,
        attempt=number,
        outcome=outcome(result, status, second),
        **fields,
    )


LIFE = [
    told("accepted", 0, mail_sequence=7, retention_s=60, summary=summary("")),
    told("scanned", 1),
    told("duplicate", 1.5),
    told("parsed", 2, endpoint_ids=("end_1", "end_2"), summary=summary("Hello"), objects=("k/1",)),
    attempted(3, "end_1", 1, "failed", 500),
    attempted(8, "end_1", 2, "delivered", 200),
    told("delivered", 8.1, endpoint_id="end_1"),
    attempted(4, "end_2", 1, "gone", 410),
    told("dead", 5, endpoint_id="end_2", stage="deliver", reason="endpoint-gone"),
    told("parsed", 20, run=REPLAY, endpoint_ids=("end_2",), summary=summary("Hello again")),
    attempted(21, "end_2", 1, "delivered", 204, run=REPLAY),
    told("delivered", 21.1, run=REPLAY, endpoint_id="end_2"),
    told("notified", 22),
    told("rejected", 2, mail="msg_2", reason="spam.score >= 7", summary=summary("Buy")),
    told("accepted", 0, mail="msg_2", mail_sequence=8, retention_s=60, summary=summary("")),
    told("dead", 9, mail="msg_3", stage="parse", reason="three crashes"),
    told("accepted", 0, mail="msg_3", mail_sequence=9, summary=summary("")),
    # Mode through: a copy that its sender had to send again, one that was declined, one that was taken.
    attempted(1, "end_1", 1, "failed", 500, mail="msg_4", mail_sequence=0, summary=summary("Wait")),
    attempted(2, "end_1", 2, "failed", 422, mail="msg_4", mail_sequence=0, objects=("k/4",)),
    told("rejected", 2, mail="msg_4", endpoint_id="end_1", retention_s=60, reason="422"),
    attempted(3, "end_1", 3, "delivered", 200, mail="msg_4"),
    told("delivered", 3, mail="msg_4", endpoint_id="end_1"),
    told("accepted", 3, mail="msg_4", mail_sequence=0, retention_s=60, summary=summary("")),
    attempted(1, "end_1", 1, "failed", 500, mail="msg_5", mail_sequence=0, summary=summary("Never")),
]


def folded(*batches: list[Event]) -> Ledger:
    ledger, known = Ledger(), set()
    for batch in batches:
        fresh = {event.id: event for event in batch if event.id not in known}
        known |= fresh.keys()
        ledger.fold(fresh.values())
    return ledger


def facts(ledger: Ledger) -> tuple[object, object]:
    return ledger.mails, ledger.deliveries


@given(st.permutations(LIFE * 2), st.lists(st.integers(0, 2 * len(LIFE)), max_size=6))
def test_any_order_repetition_and_batching_gives_the_same(events: list[Event], cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(events)]
    batches = [events[begin:end] for begin, end in itertools.pairwise(places)]
    assert facts(folded(*batches)) == facts(folded(LIFE))


def test_a_life_ends_in_the_states_its_owner_expects() -> None:
    ledger = folded(LIFE)
    one, two, three = (ledger.mails[f"msg_{number}"] for number in (1, 2, 3))
    assert (one.state, one.subject, one.duplicate_count, one.mail_sequence) == (
        "delivered",
        "Hello again",
        1,
        7,
    )
    assert one.ended_at == BEGIN + timedelta(seconds=21)
    assert one.attachments == [
        {"filename": "a\ufffd.pdf", "content_type": "application/pdf", "size_octets": 3}
    ]
    assert (two.state, two.reason, two.subject) == ("rejected", "spam.score >= 7", "Buy")
    assert (three.state, three.stage, three.reason) == ("dead", "parse", "three crashes")
    waited, left = ledger.mails["msg_4"], ledger.mails["msg_5"]
    assert (waited.state, waited.mail_sequence, waited.subject) == ("delivered", 0, "Wait")
    assert waited.objects == ["k/4"]
    assert waited.expires_at == BEGIN + timedelta(seconds=63)
    assert (left.state, left.mail_sequence, left.ended_at) == ("failed", 0, None)
    assert left.expires_at == BEGIN + timedelta(seconds=1 + DEAD_RETENTION_S)  # its sender never came again
    first = ledger.deliveries["msg_1"][delivery_id_of("msg_1", "end_1", "0")]
    assert (first.state, first.attempt_count, first.last_status) == ("delivered", 2, 200)
    second = ledger.deliveries["msg_1"][delivery_id_of("msg_1", "end_2", "0")]
    assert (second.state, second.dead_reason, second.last_status) == ("dead", "endpoint-gone", 410)


PARSED = told("parsed", 1, endpoint_ids=("end_1", "end_2"))
DELIVERED = told("delivered", 2, endpoint_id="end_1")


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([told("accepted")], "pending"),
        ([PARSED], "pending"),
        ([PARSED, DELIVERED], "pending"),
        ([PARSED, DELIVERED, attempted(3, "end_2", 1, "failed", 500)], "failed"),
        ([PARSED, DELIVERED, told("dead", 4, endpoint_id="end_2")], "dead"),
        ([PARSED, DELIVERED, told("delivered", 4, endpoint_id="end_2")], "delivered"),
        ([DELIVERED], "delivered"),
        ([attempted(1, "end_1", 1, "failed", 422), told("rejected", 1, endpoint_id="end_1")], "rejected"),
        ([told("rejected", 1, endpoint_id="end_1"), DELIVERED], "delivered"),
        ([told("dead", stage="parse"), PARSED], "pending"),
        ([told("rejected"), told("parsed", 5, run=REPLAY, endpoint_ids=("end_1",))], "pending"),
        ([PARSED, DELIVERED, attempted(3, "end_2", 1, "refused", 0)], "failed"),
    ],
)
def test_the_state_of_a_mail_follows_from_its_newest_deliveries(events: list[Event], state: str) -> None:
    assert folded(events).mails["msg_1"].state == state
    assert (folded(events).mails["msg_1"].ended_at is None) == (state in ("pending", "failed"))
