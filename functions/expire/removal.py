"""Removing what is left of mails: attachments first, then rows, so that a repetition goes on where it was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import sqlalchemy as sa
from mailchute.database import RECORD_LOCK, Database
from mailchute.eventlog import event_log
from mailchute.tables import attempt, delivery, email, event

from .due import is_held

log = event_log("expire")


class Storage(Protocol):
    """Where attachments lie."""

    def delete(self, keys: Sequence[str]) -> frozenset[str]:
        """Delete them, gone already or not; return those that could not be deleted now."""


def remove(database: Database, storage: Storage, mail_ids: Sequence[str], now: datetime) -> int:
    """
    Remove attachments and rows of those mails whose retention has ended, whatever else is asked for.

    Returns:
        How many are gone for good; one whose attachments stay for now is due again.

    Raises:
        DatabaseUnavailable: It does not answer; ask again.
    """
    if not mail_ids:
        return 0
    is_due = sa.and_(email.c.id.in_(mail_ids), email.c.expires_at <= now, ~is_held())
    with database.read() as connection:
        found = connection.execute(sa.select(email.c.id, email.c.objects).where(is_due)).all()
    keys = {mail_id: tuple(objects or ()) for mail_id, objects in found}
    left = storage.delete([key for mine in keys.values() for key in mine])
    bare = [mail_id for mail_id, mine in keys.items() if left.isdisjoint(mine)]
    if len(bare) < len(keys):
        log.warning("attachments-stay", stage="expire", count=len(keys) - len(bare))
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(RECORD_LOCK)))
        # Asked once more: a replay may have reopened one meanwhile.
        ended = connection.scalars(sa.select(email.c.id).where(is_due, email.c.id.in_(bare))).all()
        for table in (attempt, delivery, event):
            connection.execute(sa.delete(table).where(table.c.mail_id.in_(ended)))
        connection.execute(sa.delete(email).where(email.c.id.in_(ended)))
    return len(ended)
