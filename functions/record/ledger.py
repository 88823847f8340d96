"""The journal's facts in the database: one transaction a batch, a handful of statements."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from mailchute.database import RECORD_LOCK, Database
from mailchute.delivery import delivery_id_of
from mailchute.journal import Event
from mailchute.tables import attempt, delivery, email, endpoint, event
from sqlalchemy.dialects import postgresql, sqlite

from .fold import REASON_MAX_CHARACTERS, DeliveryState, Ledger, MailState, cut

_MAIL_COLUMNS = tuple(MailState.__slots__)
_DELIVERY_COLUMNS = tuple(DeliveryState.__slots__)


def record(database: Database, events: Iterable[Event]) -> int:
    """
    Make the database agree with these facts, in whatever order and however often they are told.

    Returns:
        How many of them were not known yet.

    Raises:
        DatabaseUnavailable: Nothing of it is written; tell them again.
    """
    told = {one.id: one for one in events}
    if not told:
        return 0
    with database.write() as connection:
        if not database.is_sqlite:
            # One batch at a time, as SQLite has it: what is folded is then never read stale.
            connection.execute(_LOCK)
        known = set(connection.scalars(_KNOWN, {"ids": list(told)}))
        fresh = [one for one in told.values() if one.id not in known]
        if fresh:
            _write(connection, fresh, database.is_sqlite)
    return len(fresh)


def _write(connection: sa.Connection, events: list[Event], is_sqlite: bool) -> None:
    connection.execute(
        sa.insert(event),
        [{"id": one.id, "mail_id": one.mail_id, "kind": one.kind, "at": one.at} for one in events],
    )
    ledger = _read(connection, {one.mail_id for one in events})
    ledger.fold(events)
    insert: Any = sqlite.insert if is_sqlite else postgresql.insert
    connection.execute(_MERGE_MAILS[insert], [_row_of(one, _MAIL_COLUMNS) for one in ledger.mails.values()])
    deliveries = [
        _row_of(one, _DELIVERY_COLUMNS)
        for mine in ledger.deliveries.values()
        for one in mine.values()
        if one.id in ledger.touched
    ]
    if deliveries:
        connection.execute(_MERGE_DELIVERIES[insert], deliveries)
    attempts = [_attempt_of(one) for one in events if one.kind == "attempted" and one.outcome is not None]
    if attempts:
        connection.execute(_ADD_ATTEMPTS[insert], attempts)
    for one in events:
        if one.outcome is not None and one.outcome.result == "gone":
            connection.execute(_DISABLE, {"gone_id": one.endpoint_id, "at": one.at})


def _read(connection: sa.Connection, mail_ids: set[str]) -> Ledger:
    ledger = Ledger()
    asked = {"ids": list(mail_ids)}
    for row in connection.execute(_MAILS, asked):
        ledger.mails[row.id] = MailState(*row)
    if ledger.mails:  # a mail without a row has no deliveries either
        for row in connection.execute(_DELIVERIES, asked):
            ledger.add(DeliveryState(*row))
    return ledger


def _row_of(state: MailState | DeliveryState, columns: tuple[str, ...]) -> dict[str, Any]:
    return {column: getattr(state, column) for column in columns}


def _attempt_of(one: Event) -> dict[str, Any]:
    outcome = one.outcome
    assert outcome is not None
    return {
        "delivery_id": delivery_id_of(one.mail_id, one.endpoint_id or "", one.run),
        "number": one.attempt or 0,
        "mail_id": one.mail_id,
        "result": outcome.result,
        "status": outcome.status,
        "reason": cut(outcome.reason, REASON_MAX_CHARACTERS),
        "started_at": outcome.started_at,
        "duration_s": outcome.duration_s,
        "retry_after_s": outcome.retry_after_s,
        "response": outcome.response,
    }


def _merging(table: sa.Table, columns: tuple[str, ...]) -> dict[Any, sa.Executable]:
    """Return the insert that overwrites a row already there, in each dialect."""
    statements: dict[Any, sa.Executable] = {}
    for insert in (sqlite.insert, postgresql.insert):
        statement = insert(table)
        changes = {column: statement.excluded[column] for column in columns if column != "id"}
        statements[insert] = statement.on_conflict_do_update(index_elements=["id"], set_=changes)
    return statements


_LOCK = sa.select(sa.func.pg_advisory_xact_lock(RECORD_LOCK))
_KNOWN = sa.select(event.c.id).where(event.c.id.in_(sa.bindparam("ids", expanding=True)))
_MAILS = sa.select(*(email.c[column] for column in _MAIL_COLUMNS)).where(
    email.c.id.in_(sa.bindparam("ids", expanding=True))
)
_DELIVERIES = sa.select(*(delivery.c[column] for column in _DELIVERY_COLUMNS)).where(
    delivery.c.mail_id.in_(sa.bindparam("ids", expanding=True))
)
_MERGE_MAILS = _merging(email, _MAIL_COLUMNS)
_MERGE_DELIVERIES = _merging(delivery, _DELIVERY_COLUMNS)
_ADD_ATTEMPTS: dict[Any, sa.Executable] = {
    insert: insert(attempt).on_conflict_do_nothing() for insert in (sqlite.insert, postgresql.insert)
}
# The earliest 410 since its owner last enabled it, whatever order they come in.
_DISABLE = (
    sa.update(endpoint)
    .where(
        endpoint.c.id == sa.bindparam("gone_id"),
        endpoint.c.enabled_at <= sa.bindparam("at", type_=endpoint.c.enabled_at.type),
        sa.or_(
            endpoint.c.disabled_at.is_(None),
            sa.and_(
                endpoint.c.disabled_reason == "gone",
                endpoint.c.disabled_at > sa.bindparam("at", type_=endpoint.c.enabled_at.type),
            ),
        ),
    )
    .values(disabled_at=sa.bindparam("at", type_=endpoint.c.enabled_at.type), disabled_reason="gone")
)
