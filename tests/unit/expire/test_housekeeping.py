"""Events, kept answers and the audit trail go when their time is over, and nothing before."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from mailchute.database import Database
from mailchute.store import account_events, audit, kept_answers
from mailchute.store.account_events import AccountEvent
from mailchute.tables import account, account_event, audit_entry, kept_answer

from functions.expire.housekeeping import tidy
from tests.unit.record.test_fold import BEGIN

DAY = timedelta(days=1)


def test_what_has_outlived_its_time_goes_and_the_audit_trail_of_who_is_held_stays(database_url: str) -> None:
    database = Database(database_url)
    with database.write() as connection:
        for name in ("acc_1", "acc_2"):
            connection.execute(
                sa.insert(account).values(
                    id=name, name=name, created_at=BEGIN, held_at=BEGIN if name == "acc_2" else None
                )
            )
            audit.note(connection, account_id=name, now=BEGIN, actor="cli", action="x", object_id="y")
        event = AccountEvent(account_id="acc_1", at=BEGIN, kind="delivered")
        account_events.add(connection, *[event] * 2_500)
        connection.execute(
            sa.insert(kept_answer).values(
                id="k", account_id="acc_1", request_digest="", status=200, body=b"", created_at=BEGIN
            )
        )

    def left() -> tuple[int, ...]:
        with database.read() as connection:
            tables = (account_event, audit_entry, kept_answer)
            return tuple(connection.scalar(sa.select(sa.func.count()).select_from(t)) or 0 for t in tables)

    assert (tidy(database, BEGIN + 0.9 * DAY), left()) == (0, (2_500, 2, 1))
    assert (tidy(database, BEGIN + 2 * DAY), left()) == (1, (2_500, 2, 0))
    assert (tidy(database, BEGIN + 31 * DAY), left()) == (2_500, (0, 2, 0))
    assert (tidy(database, BEGIN + 3_650 * DAY), left()) == (1, (0, 1, 0))
    assert kept_answers.KEPT == DAY
    database.close()
