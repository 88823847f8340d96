"""The engine and the migrations, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from mailchute.database import REVISION, Database, check_migrated, migrate
from mailchute.errors import BadSetting, DatabaseUnavailable, SecretUnreadable
from mailchute.installation import establish, open_sealer
from mailchute.migrations import current, head
from mailchute.sealing import Keyring
from mailchute.tables import meta, metadata


def test_the_migrations_go_up_and_down_and_up_again(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    for revision, found in (("head", head()), ("head", head()), ("base", None), ("head", head())):
        migrate(empty_database_url, revision)
        with database.read() as connection:
            assert current(connection) == found
            tables = set(sa.inspect(connection).get_table_names()) - {"alembic_version"}
            assert tables == (set(metadata.tables) if found else set())
    check_migrated(database)
    database.close()


def test_the_release_needs_the_newest_migration() -> None:
    assert head() == REVISION


def test_the_migrations_make_the_tables_the_code_knows(database_url: str) -> None:
    database = Database(database_url)
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()


def test_rows_live_through_every_migration(empty_database_url: str) -> None:
    migrate(empty_database_url, "0001")
    database = Database(empty_database_url)
    now = "2026-11-21 12:00:00.000000"
    with database.write() as connection:
        connection.exec_driver_sql(f"INSERT INTO account VALUES ('acc_1', 'one', 60, '{now}')")
        connection.exec_driver_sql(f"INSERT INTO domain VALUES ('dom_1', 'acc_1', 'a.test', '{now}', NULL)")
    for revision in ("head", "0001", "head"):
        migrate(empty_database_url, revision)
        with database.read() as connection:
            found = connection.exec_driver_sql(
                "SELECT account.name, domain.name FROM account JOIN domain ON account_id = account.id"
            ).all()
        assert [tuple(row) for row in found] == [("one", "a.test")]
    database.close()


def test_two_that_migrate_at_once_wait_for_each_other(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(migrate, [empty_database_url] * 4))
    database = Database(empty_database_url)
    check_migrated(database)
    database.close()


def test_an_unmigrated_database_is_named_with_what_to_do(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    with pytest.raises(BadSetting, match="run `mailchute migrate`"):
        check_migrated(database)
    database.close()


def test_a_database_of_a_newer_release_is_worked_with_while_an_upgrade_is_rolling(database_url: str) -> None:
    database = Database(database_url)
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    check_migrated(database)
    database.close()


def test_writers_wait_for_each_other_and_lose_nothing(database_url: str) -> None:
    database = Database(database_url)
    with database.write() as connection:
        connection.execute(sa.insert(meta).values(name="count", value="0"))

    def count(_worker: int) -> None:
        for _ in range(20):
            with database.write() as connection:
                ours = sa.select(meta.c.value).where(meta.c.name == "count").with_for_update()
                value = int(connection.scalar(ours) or "")
                connection.execute(sa.update(meta).where(meta.c.name == "count").values(value=str(value + 1)))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count, range(4)))
    with database.read() as connection:
        assert connection.scalar(sa.select(meta.c.value).where(meta.c.name == "count")) == "80"
    database.close()


def test_a_write_that_fails_leaves_nothing(database_url: str) -> None:
    database = Database(database_url)

    def fail() -> None:
        with database.write() as connection:
            connection.execute(sa.insert(meta).values(name="half", value="done"))
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with database.read() as connection:
        assert connection.scalar(sa.select(meta.c.value).where(meta.c.name == "half")) is None
    database.close()


def test_sqlite_is_durable_and_lets_readers_read_while_one_writes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    migrate(url)
    database = Database(url)
    with database.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
    with database.write() as writer, database.read() as reader:
        writer.execute(sa.insert(meta).values(name="new", value="1"))
        assert reader.scalar(sa.select(meta.c.value).where(meta.c.name == "new")) is None
    database.close()


@pytest.mark.parametrize(
    "url", ["postgresql://nobody@127.0.0.1:1/none", "sqlite:////nonexistent/mailchute.db"]
)
def test_a_database_that_is_away_says_so_without_parameters(url: str) -> None:
    database = Database(url)
    with pytest.raises(DatabaseUnavailable, match="did not answer"), database.read():
        pass


@pytest.mark.parametrize("url", ["", "mysql://a/b", "sqlite://", "not a url", "postgresql+psycopg2://a/b"])
def test_what_is_no_database_of_ours_is_refused(url: str) -> None:
    with pytest.raises(BadSetting, match="expected sqlite"):
        Database(url)


def test_a_refused_url_does_not_show_its_password() -> None:
    with pytest.raises(BadSetting) as refused:
        Database("mysql://user:hunter2@host/name")
    assert "hunter2" not in str(refused.value)


def test_another_master_key_than_the_first_fails_closed(database_url: str) -> None:
    database = Database(database_url)
    first, second = Keyring((b"1" * 32,)), Keyring((b"2" * 32,))
    with database.write() as connection:
        establish(connection, first)
        establish(connection, first)
    with database.write() as connection:
        for open_it in (open_sealer, establish):
            with pytest.raises(SecretUnreadable, match="another master key"):
                open_it(connection, second)
    rotated = Keyring((b"2" * 32, b"1" * 32))
    with database.write() as connection:
        establish(connection, rotated)
        open_sealer(connection, second)
    database.close()
