"""What is due is found by index and removed whole, and nothing before its time, on both databases."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from mailchute import tables
from mailchute.database import Database
from mailchute.journal import Event

from functions.expire.due import due_mails, due_query, held_mails, oldest_due_s
from functions.expire.removal import remove
from functions.record.ledger import record
from tests.unit.record.test_fold import BEGIN, LIFE, REPLAY, attempted, told

LOG = (tables.email, tables.delivery, tables.attempt, tables.event)
DAY_S = 86_400


class FakeStorage:
    """Objects in memory; some cannot be deleted."""

    def __init__(self, *keys: str, stuck: Sequence[str] = ()) -> None:
        self.keys = set(keys)
        self.stuck = set(stuck)

    def delete(self, keys: Sequence[str]) -> frozenset[str]:
        self.keys -= set(keys) - self.stuck
        return frozenset(keys) & self.stuck


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


def at(second: float) -> datetime:
    return BEGIN + timedelta(seconds=second)


def due_ids(database: Database, second: float) -> list[str]:
    return [one.mail_id for one in due_mails(database, at(second))]


def row_count(database: Database) -> int:
    with database.read() as connection:
        return sum(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in LOG)


def delivered(mail: str, second: float, *, retention_s: int, objects: tuple[str, ...] = ()) -> list[Event]:
    return [
        told("accepted", second, mail=mail, mail_sequence=7, retention_s=retention_s),
        told("parsed", second, mail=mail, endpoint_ids=("end_1",), objects=objects),
        attempted(second, "end_1", 1, "delivered", 200, mail=mail),
        told("delivered", second, mail=mail, endpoint_id="end_1"),
    ]


LIVES: list[tuple[str, list[Event], float | None]] = [
    ("delivered", delivered("msg_1", 0, retention_s=60), 60),
    ("rejected", [
        told("accepted", 0, mail_sequence=7, retention_s=60), told("rejected", 1),
    ], 61),
    ("dead in parse", [told("accepted", 0, retention_s=60), told("dead", 2, stage="parse")], 2 + 14 * DAY_S),
    ("dead in delivery", [
        told("accepted", 0, retention_s=60), told("parsed", 0, endpoint_ids=("end_1",)),
        told("dead", 3, endpoint_id="end_1", stage="deliver"),
    ], 3 + 14 * DAY_S),
    ("still retried", [
        told("accepted", 0, retention_s=60), told("parsed", 0, endpoint_ids=("end_1",)),
        attempted(1, "end_1", 1, "failed", 500),
    ], None),
    ("replayed, its run still owed", [
        *delivered("msg_1", 0, retention_s=60), told("parsed", 50, run=REPLAY, endpoint_ids=("end_1",)),
    ], None),
    ("replayed, counted from its new end", [
        *delivered("msg_1", 0, retention_s=60), told("parsed", 50, run=REPLAY, endpoint_ids=("end_1",)),
        told("delivered", 55, run=REPLAY, endpoint_id="end_1"),
    ], 115),
    ("an echo of one that is gone", [told("duplicate", 5)], 5 + 14 * DAY_S),
]  # fmt: skip


@pytest.mark.parametrize(("events", "ends_s"), [life[1:] for life in LIVES], ids=[life[0] for life in LIVES])
def test_a_mail_is_due_when_its_window_has_passed_since_its_end(
    database: Database, events: list[Event], ends_s: float | None
) -> None:
    record(database, events)
    if ends_s is None:
        assert due_ids(database, 400 * DAY_S) == []
        return
    assert due_ids(database, ends_s - 0.001) == []
    assert due_ids(database, ends_s) == ["msg_1"]


def test_what_was_dead_once_has_dead_records_to_look_for(database: Database) -> None:
    record(database, LIFE)
    found = {one.mail_id: one for one in due_mails(database, at(30 * DAY_S))}
    assert {mail_id: (one.mail_sequence, one.has_dead_records) for mail_id, one in found.items()} == {
        "msg_1": (7, True),  # delivered in the end, by a replay
        "msg_2": (8, False),
        "msg_3": (9, True),
        "msg_4": (0, False),  # of mode through: it never lay on MAIL
        "msg_5": (0, False),
    }
    assert remove(database, FakeStorage("k/1"), list(found), at(30 * DAY_S)) == 5
    assert row_count(database) == 0


def test_nothing_goes_before_its_time_whoever_asks_for_it(database: Database) -> None:
    chance = random.Random(7)
    ends_s: dict[str, float] = {}
    keys = set()
    for number in range(40):
        mail, begin_s, retention_s = f"msg_{number}", chance.randrange(500), chance.randrange(500)
        record(database, delivered(mail, begin_s, retention_s=retention_s, objects=(f"{mail}/1",)))
        ends_s[mail] = begin_s + retention_s
        keys.add(f"{mail}/1")
    storage = FakeStorage(*keys)
    for second in range(0, 1_001, 125):
        gone = {mail for mail, end_s in ends_s.items() if end_s <= second}
        oldest_s = min((end_s for end_s in ends_s.values()), default=second)
        assert oldest_due_s(database, at(second)) == max(0, second - oldest_s)
        assert set(due_ids(database, second)) == gone
        assert remove(database, storage, list(ends_s), at(second)) == len(gone)
        for mail in gone:
            del ends_s[mail]
        assert storage.keys == {f"{mail}/1" for mail in ends_s}
        with database.read() as connection:
            assert set(connection.scalars(sa.select(tables.email.c.id))) == set(ends_s)
    assert row_count(database) == 0


def test_pages_follow_one_another_though_nothing_is_deleted(database: Database) -> None:
    for number in range(5):
        record(database, delivered(f"msg_{number}", number // 2, retention_s=60))
    seen: list[str] = []
    page = due_mails(database, at(100), limit=2)
    while page:
        seen += [one.mail_id for one in page]
        page = due_mails(database, at(100), after=page[-1], limit=2)
    assert seen == [f"msg_{number}" for number in range(5)]


def test_rows_stay_until_the_attachments_are_gone(database: Database) -> None:
    for number in range(2):
        record(
            database, delivered(f"msg_{number}", 0, retention_s=60, objects=(f"{number}/1", f"{number}/2"))
        )
    storage = FakeStorage("0/1", "0/2", "1/1", "1/2", stuck=["0/2"])
    assert remove(database, storage, ["msg_0", "msg_1"], at(60)) == 1
    assert due_ids(database, 60) == ["msg_0"]
    storage.stuck.clear()
    assert remove(database, storage, ["msg_0", "msg_1"], at(60)) == 1
    assert (row_count(database), storage.keys) == (0, set())


def test_a_mail_that_a_replay_reopened_meanwhile_keeps_its_rows(database: Database) -> None:
    record(database, delivered("msg_1", 0, retention_s=60, objects=("k",)))

    class Reopening(FakeStorage):
        def delete(self, keys: Sequence[str]) -> frozenset[str]:
            record(database, [told("parsed", 59, run=REPLAY, endpoint_ids=("end_1",))])
            return super().delete(keys)

    assert remove(database, Reopening("k"), ["msg_1"], at(60)) == 0
    with database.read() as connection:
        assert connection.scalar(sa.select(tables.email.c.state)) == "pending"


def test_who_is_due_is_looked_up_in_the_index(database: Database) -> None:
    if not database.is_sqlite:
        pytest.skip("PostgreSQL reads small tables whole")
    query = due_query(at(0)).compile(database.engine)
    with database.read() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", ("dead", at(0).isoformat(" "))).all()
    steps = [row[-1] for row in plan]
    assert "SEARCH email USING INDEX ix_email_expires_at (expires_at<?)" in steps
    assert not any(step.startswith(("SCAN", "USE TEMP")) for step in steps)


@pytest.mark.parametrize("table", [tables.account, tables.email])
def test_what_is_held_stays_until_it_is_released_and_counts_as_no_delay(
    database: Database, table: sa.Table
) -> None:
    with database.write() as connection:
        connection.execute(sa.insert(tables.account).values(id="acc_1", name="a", created_at=BEGIN))
    record(database, delivered("msg_1", 0, retention_s=30, objects=("msg_1/0",)))
    with database.write() as connection:
        connection.execute(sa.update(table).values(held_at=BEGIN))
    storage, late = FakeStorage("msg_1/0"), at(DAY_S)
    assert (due_ids(database, DAY_S), oldest_due_s(database, late)) == ([], 0.0)
    assert held_mails(database, ["msg_1", "msg_2"]) == ("msg_1",)
    assert remove(database, storage, ["msg_1"], late) == 0
    assert storage.keys == {"msg_1/0"}
    with database.write() as connection:
        connection.execute(sa.update(table).values(held_at=None))
    assert due_ids(database, DAY_S) == ["msg_1"]
    assert held_mails(database, ["msg_1"]) == ()
    assert remove(database, storage, ["msg_1"], late) == 1
    assert storage.keys == set()
