"""Accounts: whose domains, aliases and mails they are."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from mailchute.ids import new_id
from mailchute.tables import account

DEFAULT_ACCOUNT = "default"  # the one a single installation works in


def account_id_of(connection: sa.Connection, name: str = DEFAULT_ACCOUNT) -> str | None:
    """Return the id of the account of this name; None when there is none."""
    return connection.scalar(sa.select(account.c.id).where(account.c.name == name))


def ensure_account(connection: sa.Connection, *, now: datetime, name: str = DEFAULT_ACCOUNT) -> str:
    """Return the id of the account of this name, made when there is none."""
    found = account_id_of(connection, name)
    if found is None:
        found = new_id("acc")
        connection.execute(sa.insert(account).values(id=found, name=name, created_at=now))
    return found
