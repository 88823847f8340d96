"""What accounts use of their plans, counted by record, on both databases."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from mailchute import tables, wire
from mailchute.database import Database
from mailchute.function import Call
from mailchute.journal import Event, JournalBatch, event_id_of

from functions.record import handler
from tests.functions.test_record import posted

NOVEMBER = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    handler.start({"MAILCHUTE_DATABASE_URL": database_url})
    database = Database(database_url)
    with database.write() as connection:
        connection.execute(
            sa.insert(tables.plan).values(name="ten", retention_max_s=1, permissions=[], mails_per_month=10)
        )
        for number, plan_name in ((1, "ten"), (2, None), (3, "ten")):
            connection.execute(
                sa.insert(tables.account).values(
                    id=f"acc_{number}", name=str(number), created_at=NOVEMBER, plan_name=plan_name
                )
            )
    yield database
    database.close()


def fact(kind: str, number: int, *, account: int = 1, minutes: float = 0, run: str = "0") -> Event:
    mail_id = f"msg_{account}_{number}"
    return Event(
        id=event_id_of(kind, mail_id, run=run),  # type: ignore[arg-type]
        kind=kind,  # type: ignore[arg-type]
        at=NOVEMBER + timedelta(minutes=minutes),
        mail_id=mail_id,
        run=run,
        account_id=f"acc_{account}",
        domain_id="dom_1",
        alias_id="als_1",
    )


def used(database: Database) -> dict[tuple[str, str], int]:
    with database.read() as connection:
        return {
            (row.account_id, row.month): row.mail_count for row in connection.execute(sa.select(tables.usage))
        }


def told(database: Database) -> list[tuple[str, str, int]]:
    with database.read() as connection:
        rows = connection.execute(sa.select(tables.account_event).order_by(tables.account_event.c.sequence))
        return [(row.account_id, row.kind, row.detail["mailCount"]) for row in rows]


def test_accepted_mails_are_counted_by_account_and_month_and_nothing_else_is(database: Database) -> None:
    facts = [
        *(fact("accepted", number) for number in range(3)),
        fact("accepted", 3, minutes=59),
        fact("accepted", 4, minutes=60),  # the first of December, UTC
        fact("accepted", 5, account=2),
        fact("duplicate", 1, run="msg_resend"),
        fact("parsed", 1),
        fact("parsed", 1, run="run_replay"),
        fact("rejected", 2),
        fact("dead", 3),
    ]
    expected = {("acc_1", "2026-11"): 4, ("acc_1", "2026-12"): 1, ("acc_2", "2026-11"): 1}
    assert posted(facts) == len(facts)
    assert used(database) == expected
    assert posted(facts) == 0
    assert used(database) == expected


@pytest.mark.parametrize("seed", range(5))
def test_no_order_no_repetition_and_no_cut_into_batches_changes_a_count(
    database: Database, seed: int
) -> None:
    facts = [
        fact(kind, number, account=account, minutes=number * 7)
        for account in (1, 2)
        for number in range(20)
        for kind in ("accepted", "parsed")
    ]
    source = random.Random(seed)
    shuffled = facts * 2
    source.shuffle(shuffled)
    while shuffled:
        size = source.randrange(1, 9)
        posted(shuffled[:size])
        del shuffled[:size]
    assert used(database) == {
        (f"acc_{account}", month): count
        for account in (1, 2)
        for month, count in (("2026-11", 9), ("2026-12", 11))
    }


def test_at_80_and_at_100_percent_an_account_is_told_once(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="mailchute.record"):
        posted([fact("accepted", number) for number in range(7)])
        assert told(database) == []
        posted([fact("accepted", 7)])
        assert told(database) == [("acc_1", "quota.warned", 8)]
        posted([fact("accepted", 8), fact("accepted", 9)])
        posted([fact("accepted", number) for number in range(12)])
        posted([fact("accepted", 50, account=2)])  # it has no plan
        posted([fact("accepted", number, account=3) for number in range(11)])
    assert told(database) == [
        ("acc_1", "quota.warned", 8),
        ("acc_1", "quota.reached", 10),
        ("acc_3", "quota.warned", 11),
        ("acc_3", "quota.reached", 11),
    ]
    assert [record.getMessage() for record in caplog.records] == [kind for _, kind, _ in told(database)]
    with database.read() as connection:
        row = connection.execute(sa.select(tables.usage).where(tables.usage.c.account_id == "acc_1")).one()
    assert (row.told_80_at, row.told_100_at) == (NOVEMBER, NOVEMBER)
    posted([fact("accepted", number, minutes=90) for number in range(100, 108)])
    assert told(database)[-1] == ("acc_1", "quota.warned", 8)  # a month of its own


def test_what_is_not_written_is_not_counted(database: Database) -> None:
    with database.write() as connection:
        connection.execute(sa.text("ALTER TABLE account_event RENAME TO account_event_away"))

    batch = JournalBatch(events=tuple(fact("accepted", number) for number in range(9)))
    assert handler.handle(Call(body=wire.encode(batch))).status == 503
    assert used(database) == {}
    with database.write() as connection:
        connection.execute(sa.text("ALTER TABLE account_event_away RENAME TO account_event"))
    assert posted(list(batch.events)) == 9
    assert used(database) == {("acc_1", "2026-11"): 9}
    assert told(database) == [("acc_1", "quota.warned", 9)]
