"""Aliases as the API makes, changes and removes them, one at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mailchute.ids import new_id
from mailchute.store.plans import check_alias_count
from mailchute.store.refusals import Taken
from mailchute.store.wanted import Kind
from mailchute.tables import alias, endpoint


def create_alias(
    connection: sa.Connection,
    *,
    account_id: str,
    domain_id: str,
    name: str,
    kind: Kind,
    match: str,
    columns: dict[str, Any],
    now: datetime,
) -> str:
    """
    Return the id of the new alias of a domain that is locked (mailchute.store.domains.lock_domain).

    Args:
        kind, match: As mailchute.routes.values.read_local_part returns them of `name`.
        columns: The rest; what is not there has its default.

    Raises:
        Taken: The domain has such an alias.
        OverPlan: The account's plan does not allow one more.
    """
    known = sa.select(alias.c.id).where(
        alias.c.domain_id == domain_id,
        alias.c.deleted_at.is_(None),
        sa.func.lower(alias.c.name) == name.lower(),
    )
    if connection.scalar(known) is not None:
        raise Taken(f"{name}: the domain has this alias already")
    alias_id = new_id("als")
    connection.execute(
        sa.insert(alias).values(
            id=alias_id, account_id=account_id, domain_id=domain_id, name=name, kind=kind, match=match,
            origin="api", created_at=now, **columns,
        )
    )  # fmt: skip
    check_alias_count(connection, account_id)
    return alias_id


def change_alias(connection: sa.Connection, alias_id: str, columns: dict[str, Any]) -> None:
    connection.execute(sa.update(alias).where(alias.c.id == alias_id).values(columns))


def remove_alias(connection: sa.Connection, alias_id: str, now: datetime) -> None:
    """Take the alias and its endpoints away; mail still waiting for one is told why."""
    for table, where in ((endpoint, endpoint.c.alias_id == alias_id), (alias, alias.c.id == alias_id)):
        connection.execute(sa.update(table).where(where, table.c.deleted_at.is_(None)).values(deleted_at=now))


def lock_alias(connection: sa.Connection, account_id: str, alias_id: str) -> str | None:
    """Return the domain id of the account's alias, which nobody else changes until our end; None: no such."""
    found: str | None = connection.scalar(
        sa.select(alias.c.domain_id)
        .where(alias.c.id == alias_id, alias.c.account_id == account_id, alias.c.deleted_at.is_(None))
        .with_for_update()
    )
    return found
