"""What is kept for a time and is no mail: events that accounts follow, kept answers, the audit trail."""

from __future__ import annotations

from datetime import datetime, timedelta

from mailchute.database import Database
from mailchute.store import account_events, audit, kept_answers

BATCHES_AT_ONCE = 20  # of one round, so that no transaction is long; the next goes on


def tidy(database: Database, now: datetime, *, audit_retention_s: float = audit.KEPT_S) -> int:
    """
    Remove what has outlived its time; return how many rows.

    Raises:
        DatabaseUnavailable: It does not answer; what was removed stays so.
    """
    count = 0
    for _ in range(BATCHES_AT_ONCE):
        with database.write() as connection:
            events = account_events.forget(connection, before=now - timedelta(seconds=account_events.KEPT_S))
            entries = audit.forget(connection, before=now - timedelta(seconds=audit_retention_s))
            count += events + entries
        if events < account_events.FORGET_AT_ONCE and entries < audit.FORGET_AT_ONCE:
            break
    with database.write() as connection:
        return count + kept_answers.forget(connection, now)
