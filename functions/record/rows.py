"""
The rows that the journal makes, and how a batch of them is written in one statement.

PostgreSQL is sent one JSON text and makes rows of it; SQLite lies in our own process and takes them one
by one from C. Either costs a third of what SQLAlchemy's row-wise parameters do.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from typing import Any

import msgspec
import sqlalchemy as sa
from mailchute.tables import Instant, attempt, delivery, email, event


@dataclass(slots=True)
class MailRow:
    """One row of the table email."""

    id: str
    account_id: str
    domain_id: str
    alias_id: str
    first_at: datetime
    state: str = "pending"
    accepted_at: datetime | None = None
    ended_at: datetime | None = None
    mail_sequence: int | None = None
    retention_s: int | None = None
    message_id: str | None = None
    recipient: str | None = None
    subject: str | None = None
    size_octets: int | None = None
    attachments: list[dict[str, object]] | None = None
    spam_score: float | None = None
    is_spam: bool | None = None
    summary_key: str | None = None
    objects: list[str] = field(default_factory=list)
    duplicate_count: int = 0
    verdict: str | None = None
    verdict_run: str | None = None
    verdict_at: datetime | None = None
    reason: str | None = None
    stage: str | None = None
    erased_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(slots=True)
class DeliveryRow:
    """One row of the table delivery."""

    id: str
    mail_id: str
    run: str
    account_id: str
    endpoint_id: str
    created_at: datetime
    state: str = "pending"
    ended_at: datetime | None = None
    attempt_count: int = 0
    last_attempt: int = 0
    last_status: int | None = None
    last_reason: str | None = None
    dead_reason: str | None = None


@dataclass(slots=True)
class AttemptRow:
    """One row of the table attempt."""

    mail_id: str
    delivery_id: str
    number: int
    result: str
    status: int | None
    reason: str
    started_at: datetime
    duration_s: float
    retry_after_s: float | None
    response: str


@dataclass(slots=True)
class EventRow:
    """One row of the table event."""

    mail_id: str
    id: str
    kind: str
    at: datetime


Row = MailRow | DeliveryRow | AttemptRow | EventRow

TABLES: dict[Any, sa.Table] = {
    MailRow: email,
    DeliveryRow: delivery,
    AttemptRow: attempt,
    EventRow: event,
}


def columns_of(kind: Any) -> list[sa.Column[Any]]:
    """Return the columns of the row's table in the order of its fields."""
    return [TABLES[kind].c[one.name] for one in fields(kind)]


def write(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Insert rows of one kind; one that is there already is overwritten."""
    if not rows:
        return
    kind: Any = type(rows[0])
    if connection.dialect.name == "sqlite":
        values = _values_of(kind, rows)
        connection.exec_driver_sql(_insert_of(kind, is_sqlite=True), values)
    else:
        connection.exec_driver_sql(_insert_of(kind, is_sqlite=False), (msgspec.json.encode(rows).decode(),))


@cache
def _insert_of(kind: Hashable, *, is_sqlite: bool) -> str:
    table = TABLES[kind]
    quote = sa.engine.default.DefaultDialect().identifier_preparer.quote
    names = [quote(column.name) for column in columns_of(kind)]
    keys = [quote(column.name) for column in table.primary_key]
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys)
    listed = ", ".join(names)
    if is_sqlite:
        source = f"VALUES ({', '.join('?' * len(names))})"
    else:
        rows = f"json_populate_recordset(NULL::{quote(table.name)}, %s::json)"
        source = f"SELECT {listed} FROM {rows}"  # noqa: S608 (names of our own tables)
    return (
        f"INSERT INTO {quote(table.name)} ({listed}) {source} "
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"
    )


def _values_of(kind: Hashable, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Return the rows as SQLite takes them: times and lists as text."""
    read, converters = _reading(kind)
    found = []
    for row in rows:
        values = list(read(row))
        for place, convert in converters:
            if values[place] is not None:
                values[place] = convert(values[place])
        found.append(tuple(values))
    return found


@cache
def _reading(kind: Hashable) -> tuple[Callable[[Any], Any], list[tuple[int, Callable[[Any], str]]]]:
    """Return how to read a row's values, and which of them are made into text."""
    columns = columns_of(kind)
    converters: list[tuple[int, Callable[[Any], str]]] = [
        (place, _stamp if isinstance(column.type, Instant) else _json)
        for place, column in enumerate(columns)
        if isinstance(column.type, Instant | sa.JSON)
    ]
    return attrgetter(*(column.name for column in columns)), converters


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _stamp(moment: datetime) -> str:
    """Return the moment as SQLAlchemy stores it in SQLite: UTC, so that texts sort as times."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(" ", "microseconds")[:_STAMP_CHARACTERS]


_STAMP_CHARACTERS = len("2026-11-21 12:00:00.000000")
