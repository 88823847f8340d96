"""An account's events: in order, none skipped, kept for a time, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from mailchute.database import Database
from mailchute.store import account_events
from mailchute.store.account_events import AccountEvent
from mailchute.tables import account_event

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def event(account_id: str = "acc_1", **fields: object) -> AccountEvent:
    return AccountEvent(**({"account_id": account_id, "at": NOW, "kind": "delivered"} | fields))  # type: ignore[arg-type]


def test_events_are_told_in_order_to_their_account_alone(database_url: str) -> None:
    database = Database(database_url)
    with database.write() as connection:
        account_events.add(connection)
        account_events.add(
            connection,
            event(mail_id="msg_1"),
            event("acc_2"),
            event(kind="endpoint.disabled", endpoint_id="end_1", detail={"reason": "gone"}),
        )
    with database.read() as connection:
        first, second = account_events.list_events(connection, "acc_1")
        assert (first.kind, first.mail_id, first.at, first.detail) == ("delivered", "msg_1", NOW, {})
        assert (second.endpoint_id, second.detail) == ("end_1", {"reason": "gone"})
        assert account_events.list_events(connection, "acc_1", after=int(first.id)) == [second]
        assert account_events.list_events(connection, "acc_1", limit=1) == [first]
        assert account_events.newest_sequence(connection, "acc_1") == int(second.id)
        assert account_events.newest_sequence(connection, "acc_3") == 0
    database.close()


def test_a_reader_that_follows_many_writers_skips_nothing(database_url: str) -> None:
    """Each writer dawdles between drawing its numbers and committing them."""
    database = Database(database_url)
    writers, rounds = 6, 15

    def write(writer: int) -> None:
        for turn in range(rounds):
            with database.write() as connection:
                account_events.add(connection, event(mail_id=f"msg_{writer}_{turn}"))
                account_events.add(connection, event("acc_2"))
                connection.execute(sa.text("SELECT 1" if database.is_sqlite else "SELECT pg_sleep(0.002)"))

    found: list[str | None] = []
    with ThreadPoolExecutor(writers) as threads:
        work = [threads.submit(write, number) for number in range(writers)]
        after, is_over = 0, False
        while not is_over:
            is_over = all(one.done() for one in work)
            with database.read() as connection:
                for one in account_events.list_events(connection, "acc_1", after=after):
                    assert int(one.id) > after
                    after = int(one.id)
                    found.append(one.mail_id)
        for one in work:
            one.result()
    assert sorted(found, key=str) == sorted(f"msg_{w}_{r}" for w in range(writers) for r in range(rounds))
    database.close()


def test_old_events_are_forgotten_a_part_at_a_time_and_their_numbers_never_come_again(
    database_url: str,
) -> None:
    database = Database(database_url)
    with database.write() as connection:
        account_events.add(connection, *(event(at=NOW + timedelta(seconds=n)) for n in range(5)))
    counts = []
    for seconds in (3, 3, 3, 60):
        with database.write() as connection:
            counts.append(account_events.forget(connection, before=NOW + timedelta(seconds=seconds), limit=2))
    assert counts == [2, 1, 0, 2]
    with database.write() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(account_event)) == 0
        account_events.add(connection, event())
        assert account_events.newest_sequence(connection, "acc_1") == 6
    database.close()
