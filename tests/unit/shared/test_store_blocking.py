"""An account's block list in the database, and how the directory reads it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from mailchute import standing as standing_module
from mailchute import tables
from mailchute.database import Database
from mailchute.directory import Directory
from mailchute.envelope import Path
from mailchute.standing import ENTRIES_MAX, standing_of
from mailchute.store import blocking
from mailchute.store.audit import list_entries as list_audit

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    with database.write() as connection:
        connection.execute(
            sa.insert(tables.plan).values(
                name="free", retention_max_s=3600, permissions=[], mails_per_month=100, size_max_octets=5_000
            )
        )
        for number, plan_name in ((1, "free"), (2, None)):
            connection.execute(
                sa.insert(tables.account).values(
                    id=f"acc_{number}", name=str(number), created_at=NOW, plan_name=plan_name
                )
            )
    yield database
    database.close()


def added(database: Database, kind: str, value: str, *, account_id: str = "acc_1", note: str = ""):
    with database.write() as connection:
        return blocking.add(
            connection, account_id=account_id, kind=kind, value=value, now=NOW, actor="cli", note=note
        )


def test_entries_are_added_once_listed_and_removed_and_all_of_it_is_audited(database: Database) -> None:
    first = added(database, "domain", "Köln.TEST", note=" a flood ")
    assert (first.kind, first.value, first.note, first.created_at) == (
        "domain",
        "xn--kln-sna.test",
        "a flood",
        NOW,
    )
    assert added(database, "domain", "xn--kln-sna.test", note="again") == first
    second = added(database, "network", "192.0.2.0/24")
    other = added(database, "domain", "köln.test", account_id="acc_2")
    with database.write() as connection:
        assert blocking.list_entries(connection, "acc_1") == [first, second]
        assert blocking.list_entries(connection, "acc_1", after=first.id) == [second]
        gone = {"now": NOW, "actor": "key_1", "entry_id": first.id}
        assert blocking.remove(connection, account_id="acc_2", **gone) is None
        assert blocking.remove(connection, account_id="acc_1", **gone) == first
        assert blocking.remove(connection, account_id="acc_1", **gone) is None
        assert blocking.list_entries(connection, "acc_2") == [other]
        audited = [(one.actor, one.action, one.detail) for one in list_audit(connection, "acc_1")]
    assert sorted(audited) == [
        ("cli", "block.add", "domain xn--kln-sna.test"),
        ("cli", "block.add", "network 192.0.2.0/24"),
        ("key_1", "block.remove", "domain xn--kln-sna.test"),
    ]


@pytest.mark.parametrize(
    ("kind", "value", "note"),
    [
        ("network", "0.0.0.0/0", ""),
        ("network", "2000::/3", ""),
        ("network", "192.0.2.1/24", ""),
        ("domain", "two words", ""),
        ("sieve", "a.test", ""),
        ("domain", "a.test", "x" * 501),
        ("domain", "a.test", "\x00"),
    ],
)
def test_what_is_no_entry_is_refused(database: Database, kind: str, value: str, note: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        added(database, kind, value, note=note)
    with database.read() as connection:
        assert blocking.list_entries(connection, "acc_1") == []


def test_a_list_has_an_end(database: Database) -> None:
    with database.write() as connection:
        connection.execute(
            sa.insert(tables.block_entry),
            [
                {"id": f"blk_{n:05}", "account_id": "acc_1", "kind": "domain", "value": f"d{n}.test",
                 "created_at": NOW}
                for n in range(ENTRIES_MAX)
            ],
        )  # fmt: skip
    with pytest.raises(ValueError, match="up to 10000"):
        added(database, "domain", "one-more.test")
    assert added(database, "domain", "d7.test").id == "blk_00007"
    with database.read() as connection:
        assert len(standing_of(connection, "acc_1", NOW).blocks) == ENTRIES_MAX
    assert standing_module.ENTRIES_MAX == ENTRIES_MAX


def test_the_directory_tells_an_accounts_list_and_plan_and_keeps_them_ten_seconds(database: Database) -> None:
    clock = Clock()
    directory = Directory(database.url.render_as_string(hide_password=False), clock=clock, now=lambda: NOW)
    added(database, "domain", "spam.test")
    with database.write() as connection:
        for month, count in (("2026-10", 7), ("2026-11", 42)):
            connection.execute(
                sa.insert(tables.usage).values(account_id="acc_1", month=month, mail_count=count)
            )
    assert directory.cached_standing("acc_1") is None
    found = directory.standing("acc_1")
    assert found is not None
    assert found.blocks.has_sender(Path.parse("a@spam.test"))
    quota = found.quota
    assert (quota.month, quota.mail_count, quota.mails_per_month, quota.size_max_octets) == (
        "2026-11",
        42,
        100,
        5_000,
    )
    unlimited = directory.standing("acc_2")
    assert unlimited is not None
    assert (unlimited.quota.mails_per_month, len(unlimited.blocks)) == (None, 0)
    unknown = directory.standing("acc_none")
    assert unknown is not None
    assert not unknown.quota.is_used_up("2026-11")
    added(database, "domain", "other.test")
    assert directory.cached_standing("acc_1") is found
    clock.seconds += 10.1
    assert directory.cached_standing("acc_1") is None
    again = directory.standing("acc_1")
    assert again is not None
    assert len(again.blocks) == 2
    directory.close()


def test_while_the_database_is_away_what_is_known_is_told_as_stale_and_no_longer_than_an_hour(
    database: Database,
) -> None:
    clock = Clock()
    directory = Directory(database.url.render_as_string(hide_password=False), clock=clock, now=lambda: NOW)
    known = directory.standing("acc_1")
    assert known is not None
    assert known.is_fresh
    with database.write() as connection:
        connection.execute(sa.text("ALTER TABLE block_entry RENAME TO block_entry_away"))
    clock.seconds += 11
    stale = directory.standing("acc_1")
    assert stale is not None
    assert not stale.is_fresh
    assert directory.standing("acc_2") is None
    clock.seconds += 3_600
    assert directory.standing("acc_1") is None
    with database.write() as connection:
        connection.execute(sa.text("ALTER TABLE block_entry_away RENAME TO block_entry"))
    clock.seconds += 2
    back = directory.standing("acc_1")
    assert back is not None
    assert back.is_fresh
    directory.close()
