"""A storage connection: the S3 bucket of an account, its keys opened."""

from __future__ import annotations

import sqlalchemy as sa

from mailchute.sealing import Place, Sealer
from mailchute.settings import S3Settings
from mailchute.tables import storage_connection


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
