"""Storage connections: an account's own S3 buckets, their keys sealed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from mailchute.ids import new_id
from mailchute.sealing import Sealer
from mailchute.storage_connection import place_of
from mailchute.store.refusals import Needed, OverPlan
from mailchute.tables import account, email, storage_connection

CONNECTIONS_MAX_COUNT = 20  # of one account
SEALED = ("access_key", "secret_key")


class ConnectionView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A storage connection as it is listed: its keys are never shown."""

    id: str
    name: str
    endpoint: str  # "" is AWS's own
    bucket: str
    region: str
    is_used: bool  # large attachments of the account's mail go there
    created_at: datetime


def create_connection(
    connection: sa.Connection,
    *,
    account_id: str,
    columns: dict[str, str],
    sealer: Sealer,
    now: datetime,
    connection_id: str | None = None,
) -> str:
    """
    Return the id of the new storage connection; nothing goes there until the account uses it.

    Args:
        columns: name, endpoint, bucket, region, access_key, secret_key.

    Raises:
        OverPlan: The account has as many as one can have.
    """
    connection.execute(sa.select(account.c.id).where(account.c.id == account_id).with_for_update())
    count = connection.scalar(
        sa.select(sa.func.count()).select_from(storage_connection).where(_living(account_id))
    )
    if (count or 0) >= CONNECTIONS_MAX_COUNT:
        raise OverPlan(f"an account has up to {CONNECTIONS_MAX_COUNT} storage connections")
    made = connection_id or new_id("sto")
    connection.execute(
        sa.insert(storage_connection).values(
            id=made, account_id=account_id, created_at=now, **_sealed(columns, sealer, account_id, made)
        )
    )
    return made


def change_connection(
    connection: sa.Connection,
    *,
    account_id: str,
    connection_id: str,
    columns: dict[str, str],
    sealer: Sealer,
) -> None:
    """Change these columns. Its bucket never changes: what lies in the former could not be found again."""
    if columns:
        connection.execute(
            sa.update(storage_connection)
            .where(storage_connection.c.id == connection_id)
            .values(_sealed(columns, sealer, account_id, connection_id))
        )


def remove_connection(
    connection: sa.Connection, *, account_id: str, connection_id: str, now: datetime
) -> None:
    """
    Take the storage connection away, its keys for good.

    Raises:
        Needed: The account's attachments go there, or some that are kept still lie there.
    """
    used = connection.scalar(sa.select(account.c.storage_connection_id).where(account.c.id == account_id))
    if used == connection_id:
        raise Needed("attachments of this account go there: set storageConnectionId of the account first")
    if _holds_objects(connection, account_id, connection_id):
        raise Needed("attachments of mail that is kept lie there: wait until its retention ends, or erase it")
    connection.execute(
        sa.update(storage_connection)
        .where(storage_connection.c.id == connection_id)
        .values(deleted_at=now, access_key=b"", secret_key=b"")
    )


def list_connections(
    connection: sa.Connection,
    account_id: str,
    *,
    after: str = "",
    limit: int = 50,
    only: str | None = None,
) -> list[ConnectionView]:
    """Return a page of the account's storage connections, the oldest first."""
    query = (
        sa.select(storage_connection, account.c.storage_connection_id.label("used_id"))
        .join(account, account.c.id == storage_connection.c.account_id)
        .where(_living(account_id), storage_connection.c.id > after)
    )
    if only is not None:
        query = query.where(storage_connection.c.id == only)
    return [
        ConnectionView(
            id=row.id, name=row.name, endpoint=row.endpoint, bucket=row.bucket, region=row.region,
            is_used=row.used_id == row.id, created_at=row.created_at,
        )
        for row in connection.execute(query.order_by(storage_connection.c.id).limit(limit))
    ]  # fmt: skip


def lock_connection(connection: sa.Connection, account_id: str, connection_id: str) -> bool:
    """Return whether the account has it; nobody else changes it until our end."""
    query = sa.select(storage_connection.c.id).where(
        _living(account_id), storage_connection.c.id == connection_id
    )
    return connection.scalar(query.with_for_update()) is not None


def _living(account_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(storage_connection.c.account_id == account_id, storage_connection.c.deleted_at.is_(None))


def _holds_objects(connection: sa.Connection, account_id: str, connection_id: str) -> bool:
    kept = sa.cast(email.c.objects, sa.Text).contains(f"{connection_id}/", autoescape=True)
    return bool(connection.scalar(sa.select(sa.exists().where(email.c.account_id == account_id, kept))))


def _sealed(columns: dict[str, str], sealer: Sealer, account_id: str, row_id: str) -> dict[str, Any]:
    return {
        name: sealer.seal(text, place_of(account_id, row_id, name)) if name in SEALED else text
        for name, text in columns.items()
    }
