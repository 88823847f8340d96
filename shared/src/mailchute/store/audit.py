"""Who changed what, and when."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from mailchute.ids import new_id
from mailchute.store.wanted import Change
from mailchute.tables import audit_entry

CLI = "cli"  # who acts at the command line; over the API it is the key's id


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One change as it is listed."""

    id: str
    at: datetime
    actor: str
    action: str  # "endpoint.change"
    object_id: str
    detail: str


def note(
    connection: sa.Connection,
    *,
    account_id: str,
    now: datetime,
    actor: str,
    action: str,
    object_id: str,
    detail: str = "",
) -> None:
    """Write one entry, in the transaction of the change it tells of."""
    connection.execute(
        sa.insert(audit_entry).values(
            id=new_id("aud"),
            account_id=account_id,
            at=now,
            actor=actor,
            action=action,
            object_id=object_id,
            detail=detail,
        )
    )


def note_changes(
    connection: sa.Connection,
    changes: tuple[Change, ...],
    *,
    account_id: str,
    now: datetime,
    actor: str,
) -> None:
    """Write one entry for each change of the routing; field names, never their values."""
    for one in changes:
        fields = f" ({', '.join(one.fields)})" if one.fields else ""
        note(
            connection,
            account_id=account_id,
            now=now,
            actor=actor,
            action=f"{one.what}.{one.kind}",
            object_id=one.id,
            detail=one.name + fields,
        )


def list_entries(
    connection: sa.Connection, account_id: str, *, before: str | None = None, limit: int = 100
) -> list[AuditEntry]:
    """Return the newest entries first, those older than the entry `before`."""
    query = sa.select(audit_entry).where(audit_entry.c.account_id == account_id)
    if before is not None:
        query = query.where(audit_entry.c.id < before)
    rows = connection.execute(query.order_by(audit_entry.c.id.desc()).limit(limit))
    return [
        AuditEntry(
            id=row.id,
            at=row.at,
            actor=row.actor,
            action=row.action,
            object_id=row.object_id,
            detail=row.detail,
        )
        for row in rows
    ]
