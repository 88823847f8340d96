"""What attempts make of their endpoints' rows, on both databases, in any order and however often told."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from mailchute import tables
from mailchute.database import Database
from mailchute.delivery import AttemptOutcome
from mailchute.journal import Event, event_id_of
from mailchute.store import audit
from mailchute.store.account_events import list_events
from mailchute.store.endpoints import enable_endpoint

from functions.record.ledger import Limits, record
from tests.unit.record.test_fold import BEGIN

DAY_S = 86_400
LIMITS = Limits(failing_s=5 * DAY_S)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    with database.write() as connection:
        for table, columns in (
            (tables.account, {"id": "acc_1", "name": "one", "retention_s": 1}),
            (tables.domain, {"id": "dom_1", "account_id": "acc_1", "name": "a.test"}),
            (
                tables.alias,
                {"id": "als_1", "account_id": "acc_1", "domain_id": "dom_1", "name": "a", "kind": "exact"}
                | {"match": "a"},
            ),
        ):
            connection.execute(sa.insert(table).values(created_at=BEGIN, **columns))
        connection.execute(
            sa.insert(tables.endpoint).values(
                id="end_1", account_id="acc_1", alias_id="als_1", position=0, url="https://a.test",
                secret=b"", secret_is_generated=True, created_at=BEGIN, enabled_at=BEGIN,
            )
        )  # fmt: skip
    yield database
    database.close()


def after(days: float) -> datetime:
    return BEGIN + timedelta(days=days)


def attempted(days: float, result: Any, status: int | None = None, **more: Any) -> Event:
    """Return that an attempt was made so many days after BEGIN, each of a mail of its own."""
    at, mail = after(days), f"msg_{days}"
    made = AttemptOutcome(
        result=result, status=status, reason=f"{status}: as told", started_at=at, duration_s=0.1, **more
    )
    return Event(
        id=event_id_of("attempted", mail, endpoint_id="end_1"), kind="attempted", at=at, mail_id=mail,
        account_id="acc_1", domain_id="dom_1", alias_id="als_1", endpoint_id="end_1", attempt=1, outcome=made,
    )  # fmt: skip


def row_of(database: Database) -> Any:
    with database.read() as connection:
        return connection.execute(sa.select(tables.endpoint)).one()


def declined(days: float, sequence: int | None) -> Event:
    """Return that it answered 422; a sequence of 0 is mode through, where that is an answer."""
    return msgspec.structs.replace(attempted(days, "failed", 422), mail_sequence=sequence)


def told(database: Database) -> list[tuple[str, dict[str, Any]]]:
    with database.read() as connection:
        found = list_events(connection, "acc_1")
    return [(one.kind, one.detail) for one in found if one.kind.startswith("endpoint.")]


@pytest.mark.parametrize(("sequence", "is_disabled"), [(0, False), (None, True)])
def test_an_endpoint_that_declines_every_mail_of_mode_through_is_no_failing_one(
    database: Database, sequence: int | None, is_disabled: bool
) -> None:
    record(database, [declined(days, sequence) for days in (0, 3, 6)], limits=LIMITS)
    assert (row_of(database).disabled_at is not None) == is_disabled


def test_an_endpoint_that_only_failed_for_five_days_is_disabled_and_its_owner_told_once(
    database: Database,
) -> None:
    failures = [attempted(days, "failed", 404) for days in (0, 1, 4.9)]
    record(database, failures, limits=LIMITS)
    row = row_of(database)
    assert (row.disabled_at, row.failing_since) == (None, BEGIN)
    assert (row.failed_at, row.failed_reason) == (after(4.9), "404: as told")
    for _ in range(2):
        record(database, [attempted(5.1, "failed", 500), attempted(6, "failed", 500)], limits=LIMITS)
    row = row_of(database)
    assert (row.disabled_at, row.disabled_reason) == (after(5), "failing")
    assert told(database) == [("endpoint.disabled", {"reason": "failing", "failingSince": BEGIN.isoformat()})]
    with database.read() as connection:
        [entry] = audit.list_entries(connection, "acc_1")
    assert (entry.actor, entry.action, entry.object_id) == ("record", "endpoint.disable", "end_1")
    assert entry.detail == "failing: 500: as told"


def test_one_success_between_begins_the_five_days_anew(database: Database) -> None:
    record(database, [attempted(0, "failed", 500), attempted(6, "delivered", 200)], limits=LIMITS)
    row = row_of(database)
    assert (row.disabled_at, row.failing_since, row.succeeded_at) == (None, None, after(6))
    record(database, [attempted(7, "failed", 500), attempted(11.9, "failed", 500)], limits=LIMITS)
    assert row_of(database).disabled_at is None
    record(database, [attempted(12, "failed", 500)], limits=LIMITS)
    assert row_of(database).disabled_at == after(12)


def test_enabled_again_it_has_the_whole_time_again(database: Database) -> None:
    record(database, [attempted(0, "failed"), attempted(6, "failed")], limits=LIMITS)
    with database.write() as connection:
        enable_endpoint(connection, account_id="acc_1", endpoint_id="end_1", is_enabled=True, now=after(7))
    row = row_of(database)
    assert (row.disabled_at, row.disabled_reason, row.failing_since) == (None, None, None)
    # What was under way while it was disabled counts for nothing.
    record(database, [attempted(6.5, "failed"), attempted(8, "failed")], limits=LIMITS)
    row = row_of(database)
    assert (row.disabled_at, row.failing_since) == (None, after(8))
    assert [kind for kind, _ in told(database)] == ["endpoint.disabled", "endpoint.enabled"]


def test_what_is_our_own_fault_or_was_never_sent_is_held_against_nobody(database: Database) -> None:
    ours = [attempted(days, "failed", is_unsent=True) for days in (0, 6)]
    record(database, [*ours, attempted(7, "refused")], limits=LIMITS)
    row = row_of(database)
    assert (row.disabled_at, row.failing_since, row.failed_at) == (None, None, None)


def test_a_410_outweighs_failing_and_what_its_owner_disabled_stays(database: Database) -> None:
    record(database, [attempted(0, "failed"), attempted(6, "failed")], limits=LIMITS)
    record(database, [attempted(7, "gone", 410)], limits=LIMITS)
    assert row_of(database).disabled_reason == "gone"
    with database.write() as connection:
        enable_endpoint(connection, account_id="acc_1", endpoint_id="end_1", is_enabled=False, now=after(8))
    record(database, [attempted(9, "gone", 410), attempted(20, "failed")], limits=LIMITS)
    row = row_of(database)
    assert (row.disabled_at, row.disabled_reason) == (after(8), "by its owner")


STORIES = [
    [(0, "failed"), (2, "delivered"), (3, "failed"), (4, "failed"), (7.9, "failed")],
    [(0, "failed"), (1, "failed"), (2, "delivered"), (3, "failed"), (8.1, "failed"), (8.2, "failed")],
    [(0, "delivered"), (1, "failed"), (7, "failed"), (7.1, "delivered")],
    [(0, "failed"), (4, "gone"), (6, "failed"), (9, "gone")],
]


@pytest.mark.parametrize("story", STORIES)
def test_no_order_batching_or_repetition_changes_the_row(
    database: Database, story: list[tuple[float, str]]
) -> None:
    facts = [attempted(*each) for each in story]
    record(database, facts, limits=LIMITS)
    expected = row_of(database)
    for seed in range(12):
        with database.write() as connection:
            for table in (tables.attempt, tables.delivery, tables.email, tables.event):
                connection.execute(sa.delete(table))
            cleared = dict.fromkeys(
                ("disabled_at", "disabled_reason", "failing_since", "succeeded_at", "failed_at")
            )
            connection.execute(sa.update(tables.endpoint).values(cleared | {"failed_reason": None}))
        shuffled = facts * 2
        random.Random(seed).shuffle(shuffled)
        size = 1 + seed % 4
        for begin in range(0, len(shuffled), size):
            record(database, shuffled[begin : begin + size], limits=LIMITS)
        assert row_of(database) == expected
