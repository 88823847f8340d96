"""The database of the control plane: one engine, two ways to begin, and whether it is away or not."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from mailchute.errors import BadSetting, DatabaseUnavailable

BUSY_TIMEOUT_S = 10  # how long a SQLite writer waits for another one
CONNECT_TIMEOUT_S = 3  # of PostgreSQL: an SMTP client waits for the answer
STATEMENT_TIMEOUT_S = 30
POOL_SIZE = 8

REVISION = "0006"  # of mailchute.migrations: what this release's tables are
_WRITES = "mailchute_writes"


class Database:
    """
    Connections to SQLite or PostgreSQL, safe to share between threads.

    Args:
        url: `sqlite:///file`, or `postgresql://…`; psycopg 3 is the driver.
    """

    def __init__(self, url: str, *, pool_size: int = POOL_SIZE) -> None:
        self.url = _driver_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite_engine(self.url) if self.is_sqlite else _postgresql_engine(self.url, pool_size)
        # PostgreSQL at READ COMMITTED shows each statement the newest rows, in a transaction or not;
        # without one a look-up saves two trips.
        self._reader = (
            self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        )

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """
        Yield a connection that only reads.

        Raises:
            DatabaseUnavailable: It does not answer, or is not migrated.
        """
        with _away(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """
        Yield a connection in a transaction that is committed at the end of the block.

        SQLite takes the write lock at once (BEGIN IMMEDIATE): a transaction that read first and then
        wrote could not wait for another writer and would fail.

        Raises:
            DatabaseUnavailable: It does not answer, is not migrated, or another writer held it too long.
        """
        with _away(), self.engine.connect() as connection:
            writing = connection.execution_options(**{_WRITES: True})
            with writing.begin():
                yield writing

    def close(self) -> None:
        self.engine.dispose()


def migrate(url: str, revision: str = "head") -> None:
    """
    Bring the database's tables to `revision`; "base" takes them all away.

    Safe to call twice and from two processes at once: the second waits, then finds nothing to do.

    Raises:
        DatabaseUnavailable: It does not answer.
    """
    database = Database(url)
    if database.is_sqlite:
        # SQLite alters a table by copying and dropping it, and dropping what others refer to is refused.
        event.listen(database.engine, "connect", _ignore_references)
    if revision == "head" and _revision_of(database) == REVISION:
        database.close()
        return
    # Alembic costs 100 ms and more to import, and only a start that has something to do needs it.
    from mailchute.migrations import run  # noqa: PLC0415

    try:
        with database.write() as connection:
            if not database.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            run(connection, revision)
            if database.is_sqlite and (
                broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            ):
                raise BadSetting(f"{len(broken)} rows refer to none: the migration is undone")
    finally:
        database.close()


MIGRATION_LOCK = 0x6D61_696C_0001  # PostgreSQL advisory locks; any numbers, the same in every process
RECORD_LOCK = 0x6D61_696C_0002
EVENT_LOCK = 0x6D61_696C_0003


def check_migrated(database: Database) -> None:
    """
    Raises:
        BadSetting: The tables are missing, or older than this release needs.
        DatabaseUnavailable: It does not answer.
    """
    found = _revision_of(database)
    # Newer ones are fine: migrations only add, so that an older part can start while an upgrade is rolling.
    if found is None or found < REVISION:
        raise BadSetting(
            f"the database {database.url.render_as_string()} is at revision {found or 'none'}, "
            f"this release needs {REVISION}: run `mailchute migrate`"
        )


def _revision_of(database: Database) -> str | None:
    """Return the revision the tables are at; None when they were never migrated."""
    with database.read() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return found


@contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except (IntegrityError, DataError):
        raise  # the database did answer: the caller gave it something that cannot be stored
    except SQLAlchemyError as error:
        # Unknown means again. The text of the driver only: SQLAlchemy's own would show parameters.
        cause = str(getattr(error, "orig", None) or type(error).__name__).strip().split("\n")[0]
        raise DatabaseUnavailable(f"the database did not answer: {cause}") from error


def _driver_url(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except SQLAlchemyError:
        raise BadSetting(
            "the database URL cannot be read: expected sqlite:///file or postgresql://…"
        ) from None
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return parsed
    raise BadSetting(
        f"the database {parsed.render_as_string()} cannot be used: expected sqlite:///file or postgresql://…"
    )


def _postgresql_engine(url: sa.URL, pool_size: int) -> sa.Engine:
    return sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=CONNECT_TIMEOUT_S,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "options": f"-c statement_timeout={STATEMENT_TIMEOUT_S}s -c timezone=UTC",
            "keepalives_idle": 30,
            "application_name": "mailchute",
        },
    )


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: _begin_sqlite does
    for pragma in (
        "synchronous=FULL",  # the journal is acked after our commit, so the commit must be on disk
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()
    # Readers and one writer at once. The file keeps it; of several that open a new file only one can
    # set it, and SQLite refuses the others without waiting.
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _ignore_references(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA foreign_keys=OFF").close()


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
