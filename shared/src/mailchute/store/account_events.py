"""
What an account may follow: its events in the order they became known, none ever skipped by a reader.

A sequence number is drawn while a lock is held that is given back by the commit, so numbers become
visible in their order: who has read up to 41 finds 42 and later, and nothing appears below (ADR 0025).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from mailchute.database import EVENT_LOCK
from mailchute.tables import account_event

KEPT_S = 30 * 86_400
FORGET_AT_ONCE = 1_000

Kind = Literal[
    "delivered",  # of a mail: the state it has come to
    "failed",
    "rejected",
    "dead",
    "endpoint.disabled",
    "endpoint.enabled",
    "domain.verified",
    "domain.regressed",
    "quota.warned",  # 80 % of the month's mails are used
    "quota.reached",  # all of them are
]


class AccountEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, to be told to the account."""

    account_id: str
    at: datetime
    kind: Kind
    mail_id: str | None = None
    endpoint_id: str | None = None
    detail: dict[str, Any] = {}  # what JSON can hold; no address, subject or secret


class AccountEventView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One event as it is told."""

    id: str  # its place in the order: `after` and Last-Event-ID take it
    at: datetime
    kind: str
    mail_id: str | None
    endpoint_id: str | None
    detail: dict[str, Any]


def add(connection: sa.Connection, *events: AccountEvent) -> None:
    """
    Tell these events, in this order, when the caller's transaction commits.

    Let it be the last thing a transaction writes: the lock is held until its end, and one that waits
    for a row of another while holding it could wait for ever.
    """
    if not events:
        return
    if connection.dialect.name != "sqlite":  # SQLite has one writer at a time anyway
        connection.execute(_LOCK)
    connection.execute(sa.insert(account_event), [msgspec.structs.asdict(one) for one in events])


def list_events(
    connection: sa.Connection, account_id: str, *, after: int = 0, limit: int = 100
) -> list[AccountEventView]:
    """Return the account's events after this sequence number, the oldest first."""
    rows = connection.execute(
        sa.select(account_event)
        .where(account_event.c.account_id == account_id, account_event.c.sequence > after)
        .order_by(account_event.c.sequence)
        .limit(limit)
    )
    return [
        AccountEventView(
            id=str(row.sequence), at=row.at, kind=row.kind, mail_id=row.mail_id,
            endpoint_id=row.endpoint_id, detail=row.detail,
        )
        for row in rows
    ]  # fmt: skip


def newest_sequence(connection: sa.Connection, account_id: str) -> int:
    """Return the sequence number of the account's newest event; 0 when there is none."""
    found: int | None = connection.scalar(
        sa.select(account_event.c.sequence)
        .where(account_event.c.account_id == account_id)
        .order_by(account_event.c.sequence.desc())
        .limit(1)
    )
    return found or 0


def forget(connection: sa.Connection, *, before: datetime, limit: int = FORGET_AT_ONCE) -> int:
    """Return how many of the oldest events were removed; as many as `limit`: there may be more."""
    oldest: Sequence[Any] = connection.execute(
        sa.select(account_event.c.sequence, account_event.c.at)
        .order_by(account_event.c.sequence)
        .limit(limit)
    ).all()
    old = [row.sequence for row in oldest if row.at < before]
    connection.execute(sa.delete(account_event).where(account_event.c.sequence.in_(old)))
    return len(old)


_LOCK = sa.select(sa.func.pg_advisory_xact_lock(EVENT_LOCK))
