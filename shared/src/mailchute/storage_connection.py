"""
A storage connection: the S3 bucket of an account, and how an object in it is named in the log.

The key of an attachment is `<mail>/<number>` in the installation's bucket, and
`<connection>/<mail>/<number>` in an account's own; the object there is called `<mail>/<number>` as well.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from mailchute.sealing import Place, Sealer
from mailchute.settings import S3Settings
from mailchute.tables import storage_connection

_PREFIX = "sto_"


def key_in(connection_id: str | None, object_name: str) -> str:
    """Return how the log names this object; None is the installation's bucket."""
    return object_name if connection_id is None else f"{connection_id}/{object_name}"


def parted(key: str) -> tuple[str | None, str]:
    """Return the connection (None: the installation's bucket) and the object's name there."""
    connection_id, slash, object_name = key.partition("/")
    return (connection_id, object_name) if slash and key.startswith(_PREFIX) else (None, key)


def by_connection(keys: Iterable[str]) -> dict[str | None, list[str]]:
    """Return the objects' names by the connection they lie behind."""
    found: dict[str | None, list[str]] = {}
    for key in keys:
        connection_id, object_name = parted(key)
        found.setdefault(connection_id, []).append(object_name)
    return found


def connection_of(connection: sa.Connection, connection_id: str, sealer: Sealer) -> S3Settings | None:
    """
    Return the bucket with its keys opened; None when there is none of this id any more.

    Raises:
        SecretUnreadable: A key does not open.
    """
    row = connection.execute(_CONNECTION, {"id": connection_id}).first()
    if row is None:
        return None

    def opened(column: str) -> str:
        return sealer.open(bytes(getattr(row, column)), place_of(row.account_id, row.id, column))

    return S3Settings(
        endpoint=row.endpoint,
        bucket=row.bucket,
        access_key=opened("access_key"),
        secret_key=opened("secret_key"),
        region=row.region,
    )


def place_of(account_id: str, row_id: str, column: str) -> Place:
    """Return where a sealed column of this connection's row stands."""
    return Place(table="storage_connection", column=column, row_id=row_id, account_id=account_id)


_CONNECTION = sa.select(storage_connection).where(
    storage_connection.c.id == sa.bindparam("id"), storage_connection.c.deleted_at.is_(None)
)
