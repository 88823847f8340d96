"""Which mails' retention has ended: one look-up in the index of expires_at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from mailchute.database import Database
from mailchute.expiring import PAGE, DueMail
from mailchute.tables import account, email, event


def due_mails(
    database: Database, now: datetime, *, after: DueMail | None = None, limit: int = PAGE
) -> tuple[DueMail, ...]:
    """
    Return a page of the mails whose retention has ended, the longest due first.

    Args:
        after: The last of the page before.

    Raises:
        DatabaseUnavailable: It does not answer.
    """
    query = due_query(now).limit(limit)
    if after is not None:
        query = query.where(sa.tuple_(email.c.expires_at, email.c.id) > (after.expires_at, after.mail_id))
    with database.read() as connection:
        return tuple(DueMail(**row._mapping) for row in connection.execute(query))


def due_query(now: datetime) -> sa.Select[tuple[str, int | None, datetime, bool]]:
    has_dead_records = sa.exists().where(event.c.mail_id == email.c.id, event.c.kind == "dead")
    return (
        sa.select(
            email.c.id.label("mail_id"),
            email.c.mail_sequence,
            email.c.expires_at,
            has_dead_records.label("has_dead_records"),
        )
        .where(email.c.expires_at <= now, ~is_held())
        .order_by(email.c.expires_at, email.c.id)
    )


def held_mails(database: Database, mail_ids: Sequence[str]) -> tuple[str, ...]:
    """Return which of these an investigation needs. Raises: as due_mails."""
    with database.read() as connection:
        return tuple(connection.scalars(sa.select(email.c.id).where(email.c.id.in_(mail_ids), is_held())))


def is_held() -> sa.ColumnElement[bool]:
    """Return whether an investigation is open that needs the mail, or all of its account's."""
    of_account = sa.exists().where(account.c.id == email.c.account_id, account.c.held_at.is_not(None))
    return sa.or_(email.c.held_at.is_not(None), of_account)


def oldest_due_s(database: Database, now: datetime) -> float:
    """Return how long the mail that is due the longest has been so; 0 when none is. Raises: as due_mails."""
    with database.read() as connection:
        oldest: datetime | None = connection.scalar(
            sa.select(sa.func.min(email.c.expires_at)).where(~is_held())
        )
    return 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())
