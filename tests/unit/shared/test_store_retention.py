"""What has outlived its time is found wherever the tables say so, and what is kept or held is not."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from mailchute.database import Database
from mailchute.store import account_events, retention
from mailchute.store.account_events import AccountEvent
from mailchute.tables import account, email

from functions.record.ledger import record
from tests.unit.record.test_fold import BEGIN, LIFE

DAY = timedelta(days=1)


def test_what_is_overdue_is_counted_and_named_until_it_is_held(database_url: str) -> None:
    database = Database(database_url)
    record(database, LIFE)
    with database.write() as connection:
        connection.execute(sa.insert(account).values(id="acc_1", name="a", created_at=BEGIN))
        fresh = retention.of_tables(connection, BEGIN)
        assert all(one.overdue_count == one.unknown_count == 0 for one in fresh)
        late = {one.place: one for one in retention.of_tables(connection, BEGIN + 400 * DAY)}
        mails = late["table email"]
        assert mails.overdue_count == mails.count > 0
        assert "msg_1" in mails.sample
        standings = retention.standings_of(connection, ["msg_1", "msg_none"], BEGIN + 400 * DAY)
        assert standings == {"msg_1": "overdue", "msg_none": "unknown"}
        found = retention.finding_of("bucket", standings)
        assert (found.count, found.overdue_count, found.unknown_count) == (2, 1, 1)
        assert retention.hold_mail(connection, "acc_1", "msg_1", BEGIN)
        assert not retention.hold_mail(connection, "acc_2", "msg_1", BEGIN)
        assert retention.standings_of(connection, ["msg_1"], BEGIN + 400 * DAY) == {"msg_1": "held"}
        connection.execute(sa.update(account).values(held_at=BEGIN))
        held = retention.of_tables(connection, BEGIN + 400 * DAY)[0]
        assert (held.overdue_count, held.held_count) == (0, held.count)
    database.close()


def test_rows_whose_mail_is_gone_and_what_is_kept_too_long_are_found(database_url: str) -> None:
    database = Database(database_url)
    record(database, LIFE)
    with database.write() as connection:
        account_events.add(connection, AccountEvent(account_id="acc_1", at=BEGIN, kind="delivered"))
        connection.execute(sa.delete(email).where(email.c.id == "msg_1"))
        found = {one.place: one for one in retention.of_tables(connection, BEGIN + 31 * DAY)}
    for name in ("delivery", "attempt", "event"):
        assert found[f"table {name}"].unknown_count > 0
        assert set(found[f"table {name}"].sample) == {"msg_1"}
    assert found["table account_event"].overdue_count > 0
    database.close()
