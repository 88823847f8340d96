"""record, called as the connector calls it, on both databases."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from mailchute import tables, wire
from mailchute.database import Database, migrate
from mailchute.errors import BadSetting
from mailchute.function import Call
from mailchute.journal import Event, JournalBatch, Recorded

from functions.record import handler
from functions.record.settings import Settings
from tests.unit.record.test_fold import BEGIN, LIFE, attempted, told

LOG = (tables.email, tables.delivery, tables.attempt, tables.event)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    handler.start({"MAILCHUTE_DATABASE_URL": database_url})
    database = Database(database_url)
    yield database
    database.close()


def posted(events: list[Event]) -> int:
    answer = handler.handle(Call(body=wire.encode(JournalBatch(events=tuple(events)))))
    assert answer.status == 200, answer.body
    return wire.decode(answer.body, Recorded).new_count


def contents(database: Database) -> list[list[str]]:
    with database.read() as connection:
        return [
            [repr(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in LOG
        ]


def emptied(database: Database) -> None:
    with database.write() as connection:
        for table in LOG:
            connection.execute(sa.delete(table))


def test_any_order_and_repetition_ends_in_the_same_rows(database: Database) -> None:
    assert posted(LIFE) == len(LIFE)
    expected = contents(database)
    for seed in range(20):
        emptied(database)
        shuffled = LIFE * 2
        random.Random(seed).shuffle(shuffled)
        size = 1 + seed % 7
        batches = [shuffled[begin : begin + size] for begin in range(0, len(shuffled), size)]
        assert sum(posted(batch) for batch in batches) == len(LIFE)
        assert contents(database) == expected


def test_an_empty_batch_is_nothing(database: Database) -> None:
    assert posted([]) == 0


def test_a_410_disables_the_endpoint_unless_its_owner_enabled_it_since(database: Database) -> None:
    with database.write() as connection:
        connection.execute(
            sa.insert(tables.account).values(id="acc_1", name="one", retention_s=1, created_at=BEGIN)
        )
        connection.execute(
            sa.insert(tables.domain).values(id="dom_1", account_id="acc_1", name="a.test", created_at=BEGIN)
        )
        connection.execute(
            sa.insert(tables.alias).values(
                id="als_1", account_id="acc_1", domain_id="dom_1", name="a", kind="exact", match="a",
                created_at=BEGIN,
            )
        )  # fmt: skip
        for number, enabled_s in ((1, 0), (2, 100)):
            connection.execute(
                sa.insert(tables.endpoint).values(
                    id=f"end_{number}", account_id="acc_1", alias_id="als_1", position=number,
                    url="https://a.test", secret=b"", secret_is_generated=True, created_at=BEGIN,
                    enabled_at=BEGIN + timedelta(seconds=enabled_s),
                )
            )  # fmt: skip
    posted([attempted(9, "end_1", 2, "gone", 410), attempted(9, "end_2", 1, "gone", 410)])
    posted([attempted(5, "end_1", 1, "gone", 410)])
    with database.read() as connection:
        found = connection.execute(
            sa.select(tables.endpoint.c.disabled_at, tables.endpoint.c.disabled_reason).order_by("id")
        ).all()
    assert found == [(BEGIN + timedelta(seconds=5), "gone"), (None, None)]


def test_two_attempts_that_share_a_place_in_the_schedule_are_both_kept(database: Database) -> None:
    by_hand = msgspec.structs.replace(attempted(3.5, "end_1", 2, "failed", 502), id="evt_by_hand")
    posted([attempted(3, "end_1", 2, "failed", 500), by_hand])
    with database.read() as connection:
        found = connection.execute(sa.select(tables.attempt.c.number, tables.attempt.c.status)).all()
    assert sorted(tuple(row) for row in found) == [(2, 500), (2, 502)]


def test_hostile_text_is_kept_readable_and_short(database: Database) -> None:
    long = told("rejected", reason="\x00" + "x" * 100_000)
    assert posted([long]) == 1
    with database.read() as connection:
        reason = connection.scalar(sa.select(tables.email.c.reason))
    assert reason is not None
    assert (reason[:2], len(reason)) == ("\ufffdx", 998)


def test_while_the_database_is_away_the_answer_is_503_and_nothing_is_written(database: Database) -> None:
    with database.write() as connection:
        connection.execute(sa.text("ALTER TABLE attempt RENAME TO attempt_away"))
    answer = handler.handle(Call(body=wire.encode(JournalBatch(events=tuple(LIFE)))))
    assert (answer.status, answer.retry_after_s) == (503, 1.0)
    with database.write() as connection:
        connection.execute(sa.text("ALTER TABLE attempt_away RENAME TO attempt"))
    assert posted(LIFE) == len(LIFE)


def test_garbage_is_never_worked_on_and_a_newer_version_later(database: Database) -> None:
    assert handler.handle(Call(body=b"\xc1")).status == 422
    assert handler.handle(Call(body=wire.encode({"version": 2, "events": []}))).status == 503


@pytest.mark.parametrize(
    "poison",
    [
        told("accepted", mail="msg_7", mail_sequence=2**63),
        told("accepted", mail="msg_" + "x" * 10_000),
        told("delivered", endpoint_id="end_\x00"),
    ],
    ids=["a number too large", "an id too long", "a NUL"],
)
def test_a_fact_no_database_can_hold_is_refused_and_takes_no_other_with_it(
    database: Database, poison: Event
) -> None:
    batch = JournalBatch(events=(LIFE[0], poison, LIFE[1]))
    for _ in range(2):
        assert handler.handle(Call(body=wire.encode(batch))).status == 422
    assert posted(LIFE[:3]) == 1


def test_an_unmigrated_database_stops_the_start_with_a_line_that_says_what_to_do(
    empty_database_url: str,
) -> None:
    with pytest.raises(BadSetting, match="run `mailchute migrate`"):
        handler.start({"MAILCHUTE_DATABASE_URL": empty_database_url})
    migrate(empty_database_url)
    handler.start({"MAILCHUTE_DATABASE_URL": empty_database_url})


def test_sqlite_is_refused_on_a_cluster() -> None:
    with pytest.raises(BadSetting, match="SQLite"):
        Settings.read({"K_SERVICE": "record", "MAILCHUTE_DATABASE_URL": "sqlite:////tmp/x.db"})
    Settings.read({"K_SERVICE": "record", "MAILCHUTE_DATABASE_URL": "postgresql://db/mailchute"})


def test_the_database_url_may_lie_in_a_file_for_it_holds_a_password(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://user:hunter2@db/mailchute\n")
    settings = Settings.read({"MAILCHUTE_DATABASE_URL_FILE": str(file)})
    assert settings.database_url == "postgresql://user:hunter2@db/mailchute"
    file.write_text("mysql://user:hunter2@db/mailchute\n")
    with pytest.raises(BadSetting, match="expected sqlite") as refused:
        Settings.read({"MAILCHUTE_DATABASE_URL_FILE": str(file)})
    assert "hunter2" not in str(refused.value)
