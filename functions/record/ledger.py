"""The journal's facts in the database: one transaction a batch, a handful of statements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from mailchute.database import RECORD_LOCK, Database
from mailchute.errors import Undecodable
from mailchute.journal import Event
from mailchute.schedule import DEAD_RETENTION_S
from mailchute.store import account_events
from mailchute.tables import delivery, email, event
from sqlalchemy.exc import DataError, IntegrityError

from .endpoints import FAILING_S, write_endpoints
from .fold import REASON_MAX_CHARACTERS, Ledger, cut, delivery_id_of
from .lifecycle import lifecycle_events
from .rows import AttemptRow, DeliveryRow, EventRow, MailRow, columns_of, write
from .usage import count_mails

ID_MAX_CHARACTERS = 64  # ours have 30
REFUSED = (DataError, IntegrityError, OverflowError)  # OverflowError: SQLite's driver, of a number
RESPONSE_MAX_CHARACTERS = 4_096  # as much as a person needs to see what the endpoint said


@dataclass(frozen=True, kw_only=True)
class Limits:
    """After how long something ends, in seconds."""

    dead_retention_s: float = DEAD_RETENTION_S
    failing_s: float = FAILING_S  # an endpoint that only failed for so long is disabled


DEFAULT = Limits()


def record(database: Database, events: Iterable[Event], *, limits: Limits = DEFAULT) -> int:
    """
    Make the database agree with these facts, in whatever order and however often they are told.

    Returns:
        How many of them were not known yet.

    Raises:
        DatabaseUnavailable: Nothing of it is written; tell them again.
        Undecodable: Some can be held by no database, now or ever; all others are written.
    """
    told = {one.id: one for one in events}
    sound = {one.id: one for one in told.values() if _has_sound_ids(one)}
    refused = len(told) - len(sound)
    try:
        new_count = _record(database, sound, limits)
    except REFUSED:
        # One of them spoils the statement for all: the others are not lost for it.
        new_count = 0
        for one in sound.values():
            try:
                new_count += _record(database, {one.id: one}, limits)
            except REFUSED:
                refused += 1
    if refused:
        raise Undecodable(f"{refused} of {len(told)} facts can be stored nowhere; the others are")
    return new_count


def _record(database: Database, told: dict[str, Event], limits: Limits) -> int:
    if not told:
        return 0
    with database.write() as connection:
        if not database.is_sqlite:
            # One batch at a time, as SQLite has it: what is folded is then never read stale.
            connection.execute(_LOCK)
        mail_ids = {one.mail_id for one in told.values()}
        known = set(connection.scalars(_KNOWN, {"ids": list(mail_ids)}))
        fresh = [one for one in told.values() if one.id not in known]
        if fresh:
            _write(connection, fresh, limits)
    return len(fresh)


def _has_sound_ids(one: Event) -> bool:
    """Whether its ids are short as ours are: longer ones PostgreSQL could not index, however often told."""
    ids = (one.id, one.mail_id, one.run, one.account_id, one.domain_id, one.alias_id, one.endpoint_id or "")
    return all(len(each) <= ID_MAX_CHARACTERS and "\x00" not in each for each in ids)


def _write(connection: sa.Connection, events: list[Event], limits: Limits) -> None:
    ledger = _read(connection, {one.mail_id for one in events})
    ledger.dead_retention_s = limits.dead_retention_s
    before = {one.id: one.state for one in ledger.mails.values()}
    ledger.fold(events)
    write(connection, [EventRow(one.mail_id, one.id, one.kind, one.at) for one in events])
    write(connection, list(ledger.mails.values()))
    write(
        connection,
        [one for mine in ledger.deliveries.values() for one in mine.values() if one.id in ledger.touched],
    )
    attempted = [
        one for one in events if one.outcome is not None and ledger.mails[one.mail_id].erased_at is None
    ]
    write(connection, [_attempt_of(one) for one in attempted])
    told = [
        *lifecycle_events(before, ledger.mails.values(), events),
        *count_mails(connection, events),
        *write_endpoints(connection, events, failing_s=limits.failing_s),
    ]
    account_events.add(connection, *told)  # last: it holds a lock until the commit


def _read(connection: sa.Connection, mail_ids: set[str]) -> Ledger:
    ledger = Ledger()
    asked = {"ids": list(mail_ids)}
    for row in connection.execute(_MAILS, asked):
        ledger.mails[row.id] = MailRow(*row)
    if ledger.mails:  # a mail without a row has no deliveries either
        for row in connection.execute(_DELIVERIES, asked):
            ledger.add(DeliveryRow(*row))
    return ledger


def _attempt_of(one: Event) -> AttemptRow:
    outcome = one.outcome
    assert outcome is not None
    return AttemptRow(
        one.mail_id,
        delivery_id_of(one.mail_id, one.endpoint_id or "", one.run),
        one.attempt or 0,
        outcome.result,
        outcome.status,
        cut(outcome.reason, REASON_MAX_CHARACTERS),
        outcome.started_at,
        outcome.duration_s,
        outcome.retry_after_s,
        cut(outcome.response.decode(errors="replace"), RESPONSE_MAX_CHARACTERS),
    )


_LOCK = sa.select(sa.func.pg_advisory_xact_lock(RECORD_LOCK))
_IDS: sa.BindParameter[list[str]] = sa.bindparam("ids", expanding=True)
_KNOWN = sa.select(event.c.id).where(event.c.mail_id.in_(_IDS))
_MAILS = sa.select(*columns_of(MailRow)).where(email.c.id.in_(_IDS))
_DELIVERIES = sa.select(*columns_of(DeliveryRow)).where(delivery.c.mail_id.in_(_IDS))
