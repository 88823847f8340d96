"""Who changed what, and when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from mailchute.ids import new_id
from mailchute.store.wanted import Change
from mailchute.tables import account, audit_entry

KEPT_S = 90 * 86_400  # product text 3: "default 90 days"
FORGET_AT_ONCE = 1_000

CLI = "cli"  # who acts at the command line; over the API it is the key's id


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One change as it is listed."""

    id: str
    at: datetime
    actor: str
    action: str  # "endpoint.change"
    object_id: str
    detail: str
    before: dict[str, Any] | None = (
        None  # of a change: what its fields were; of a secret only whether it was set
    )
    after: dict[str, Any] | None = None


def note(
    connection: sa.Connection,
    *,
    account_id: str,
    now: datetime,
    actor: str,
    action: str,
    object_id: str,
    detail: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
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
            before=before,
            after=after,
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
    """Write one entry for each change of the routing."""
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
            before=one.before or None,
            after=one.after or None,
        )


def forget(connection: sa.Connection, *, before: datetime, limit: int = FORGET_AT_ONCE) -> int:
    """Return how many of the oldest entries were removed, none of an account that is held."""
    held = sa.select(account.c.id).where(account.c.held_at.is_not(None))
    # Ids sort by time: the first of this moment says where to stop without another index.
    bound = new_id("aud", now_ms=int(before.timestamp() * 1_000), entropy=bytes(10))
    old = connection.scalars(
        sa.select(audit_entry.c.id)
        .where(audit_entry.c.id < bound, audit_entry.c.account_id.not_in(held))
        .order_by(audit_entry.c.id)
        .limit(limit)
    ).all()
    connection.execute(sa.delete(audit_entry).where(audit_entry.c.id.in_(old)))
    return len(old)


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
            before=row.before,
            after=row.after,
        )
        for row in rows
    ]
