"""A new master key takes over every secret, and the former can go."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from mailchute import tables
from mailchute.database import Database
from mailchute.directory import Directory
from mailchute.envelope import Path
from mailchute.errors import SecretUnreadable
from mailchute.installation import establish
from mailchute.sealing import Keyring
from mailchute.store import routing
from mailchute.store.accounts import ensure_account
from mailchute.store.connections import create_connection
from mailchute.store.reseal import reseal, row_count
from mailchute.store.wanted import Wanted, WantedAlias, WantedDomain, WantedEndpoint

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
OLD, BOTH, NEW = (Keyring(keys) for keys in ((b"o" * 32,), (b"n" * 32, b"o" * 32), (b"n" * 32,)))


def begun(url: str) -> Database:
    database = Database(url)
    endpoint = WantedEndpoint(
        url="https://a.example", secret="one secret", basic_auth="u:p", headers=(("a", "b"),)
    )
    alias = WantedAlias(name="one", kind="exact", match="one", endpoints=(endpoint,))
    with database.write() as connection:
        routing.apply(
            connection,
            Wanted(domains=(WantedDomain(name="a.test", aliases=(alias,)),)),
            account_id=ensure_account(connection, now=NOW),
            sealer=establish(connection, OLD),
            now=NOW,
            actor="cli",
        )
    return database


def test_progress_is_told_of_every_row(database_url: str) -> None:
    database, told = Database(database_url), []
    keyring = Keyring((b"k" * 32,))
    with database.write() as connection:
        account_id = ensure_account(connection, now=NOW)
        sealer = establish(connection, keyring)
        keys = {"endpoint": "", "bucket": "b", "region": "r", "access_key": "a", "secret_key": "s"}
        for _ in range(3):
            create_connection(
                connection, account_id=account_id, columns={"name": "n", **keys}, sealer=sealer, now=NOW
            )
    newer = Keyring((b"n" * 32, b"k" * 32))
    assert reseal(database, newer, progress=told.append) == 6
    assert sum(told) == row_count(database) == 3
    database.close()


def test_every_secret_is_sealed_anew_once_and_opens_with_the_new_key_alone(database_url: str) -> None:
    database = begun(database_url)
    assert [reseal(database, BOTH), reseal(database, BOTH)] == [3, 0]
    directory = Directory(database_url, keyring=NEW)
    found = directory.find(Path("one", "a.test"))
    assert found is not None
    endpoint = directory.endpoint(found.endpoints[0].id)
    assert endpoint is not None
    assert (endpoint.secrets, endpoint.basic_auth, endpoint.headers) == (
        ("one secret",),
        "u:p",
        (("a", "b"),),
    )
    directory.close()
    database.close()


def test_without_the_former_key_nothing_is_touched(database_url: str) -> None:
    database = begun(database_url)
    with database.read() as connection:
        before = connection.execute(sa.select(tables.endpoint)).all()
    with pytest.raises(SecretUnreadable, match="another master key"):
        reseal(database, NEW)
    with database.read() as connection:
        assert connection.execute(sa.select(tables.endpoint)).all() == before
    database.close()
