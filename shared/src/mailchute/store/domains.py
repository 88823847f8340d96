"""Domains as the API makes, changes and removes them, one at a time."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from mailchute.ids import new_id
from mailchute.store.refusals import Taken
from mailchute.tables import alias, domain, endpoint


def create_domain(
    connection: sa.Connection, *, account_id: str, name: str, requires_tls: bool, now: datetime
) -> str:
    """
    Return the id of the new domain.

    Args:
        name: As mailchute.routes.values.check_domain returns it.

    Raises:
        Taken: Someone of this installation has the name; IntegrityError when both come at once.
    """
    taken = sa.select(domain.c.id).where(domain.c.name == name, domain.c.deleted_at.is_(None))
    if connection.scalar(taken) is not None:
        raise Taken(f"{name}: is taken in this installation")
    domain_id = new_id("dom")
    connection.execute(
        sa.insert(domain).values(
            id=domain_id, account_id=account_id, name=name, requires_tls=requires_tls, origin="api",
            created_at=now,
        )
    )  # fmt: skip
    return domain_id


def change_domain(connection: sa.Connection, domain_id: str, *, requires_tls: bool) -> None:
    connection.execute(sa.update(domain).where(domain.c.id == domain_id).values(requires_tls=requires_tls))


def remove_domain(connection: sa.Connection, domain_id: str, now: datetime) -> None:
    """Take the domain with its aliases and endpoints away; mail still waiting for one is told why."""
    aliases = sa.select(alias.c.id).where(alias.c.domain_id == domain_id)
    for table, where in (
        (endpoint, endpoint.c.alias_id.in_(aliases)),
        (alias, alias.c.domain_id == domain_id),
        (domain, domain.c.id == domain_id),
    ):
        connection.execute(sa.update(table).where(where, table.c.deleted_at.is_(None)).values(deleted_at=now))


def lock_domain(connection: sa.Connection, account_id: str, domain_id: str) -> str | None:
    """Return the name of the account's domain, which nobody else changes until our end; None: it has none."""
    found: str | None = connection.scalar(
        sa.select(domain.c.name)
        .where(domain.c.id == domain_id, domain.c.account_id == account_id, domain.c.deleted_at.is_(None))
        .with_for_update()  # nothing on SQLite, where we are the only writer
    )
    return found
