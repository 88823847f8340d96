"""
What a request with an Idempotency-Key was answered, kept for a day.

(https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header)
It is written in the transaction of the change it answers: both are there, or neither.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from mailchute.sealing import Place, Sealer
from mailchute.tables import kept_answer

KEPT = timedelta(days=1)


class KeptAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, as it was sent."""

    request_digest: str
    status: int
    location: str | None
    body: str


def begin(
    connection: sa.Connection,
    *,
    account_id: str,
    key: str,
    request_digest: str,
    now: datetime,
    sealer: Sealer,
) -> KeptAnswer | None:
    """
    Return the answer that was given to this key; None when the request is the first of it.

    Another that has begun with the key and is not at its end is waited for.

    Raises:
        SecretUnreadable: The answer does not open.
    """
    row_id = _id_of(account_id, key)
    connection.execute(
        sa.delete(kept_answer).where(kept_answer.c.id == row_id, kept_answer.c.created_at < now - KEPT)
    )
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    begun = connection.execute(
        insert(kept_answer)
        .values(
            id=row_id, account_id=account_id, request_digest=request_digest, status=0, body=b"",
            created_at=now,
        )
        .on_conflict_do_nothing()
        .returning(kept_answer.c.id)
    )  # fmt: skip
    if begun.first() is not None:
        return None
    row = connection.execute(sa.select(kept_answer).where(kept_answer.c.id == row_id)).one()
    return KeptAnswer(
        request_digest=row.request_digest,
        status=row.status,
        location=row.location,
        body=sealer.open(bytes(row.body), _place(account_id, row_id)),
    )


def finish(
    connection: sa.Connection,
    *,
    account_id: str,
    key: str,
    status: int,
    location: str | None,
    body: str,
    sealer: Sealer,
) -> None:
    """Keep the answer of what `begin` began in this transaction."""
    row_id = _id_of(account_id, key)
    connection.execute(
        sa.update(kept_answer)
        .where(kept_answer.c.id == row_id)
        .values(status=status, location=location, body=sealer.seal(body, _place(account_id, row_id)))
    )


def forget(connection: sa.Connection, now: datetime) -> int:
    """Return how many answers were removed because their day is over."""
    gone = connection.execute(sa.delete(kept_answer).where(kept_answer.c.created_at < now - KEPT))
    return gone.rowcount


def _id_of(account_id: str, key: str) -> str:
    return hashlib.sha256(f"{account_id}\x00{key}".encode()).hexdigest()


def _place(account_id: str, row_id: str) -> Place:
    return Place(table="kept_answer", column="body", row_id=row_id, account_id=account_id)
