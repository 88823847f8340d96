"""Everything the tables hold of one account, for its owner (GDPR, articles 15 and 20); no secret of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from mailchute.tables import (
    account,
    account_event,
    alias,
    api_key,
    attempt,
    audit_entry,
    block_entry,
    delivery,
    domain,
    domain_rule,
    email,
    endpoint,
    member,
    replay,
    rule,
    storage_connection,
    usage,
)

ROWS_AT_ONCE = 1_000
# Secrets open nothing elsewhere, and an export is a file that lies about: none of them is in it.
LEFT_OUT = frozenset(
    {"digest", "secret", "previous_secret", "headers", "basic_auth", "signing_key", "client_certificate",
     "access_key", "secret_key", "dkim_key", "ownership_token"}
)  # fmt: skip

_OWN: tuple[tuple[sa.Table, sa.ColumnElement[Any]], ...] = (
    (account, account.c.id),
    *(
        (table, table.c.account_id)
        for table in (
            member, usage, domain, alias, endpoint, block_entry, storage_connection, api_key, email,
            delivery, replay, account_event, audit_entry,
        )
    ),
)  # fmt: skip
_WITHIN = ((rule, rule.c.alias_id, alias), (domain_rule, domain_rule.c.domain_id, domain))


def account_rows(connection: sa.Connection, account_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of a table and a row of it, secrets left out, a page at a time."""
    for table, owner in _OWN:
        yield from _rows(connection, table, owner == account_id)
    for table, key, parent in _WITHIN:
        ours = sa.select(parent.c.id).where(parent.c.account_id == account_id)
        yield from _rows(connection, table, key.in_(ours))
    ours = sa.select(email.c.id).where(email.c.account_id == account_id)
    yield from _rows(connection, attempt, attempt.c.mail_id.in_(ours))


def _rows(
    connection: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool]
) -> Iterator[tuple[str, dict[str, Any]]]:
    columns = [column for column in table.columns if column.name not in LEFT_OUT]
    keys = list(table.primary_key)
    after: tuple[Any, ...] | None = None
    while True:
        query = sa.select(*columns).where(where).order_by(*keys).limit(ROWS_AT_ONCE)
        if after is not None:
            query = query.where(sa.tuple_(*keys) > after)
        rows = connection.execute(query).all()
        for row in rows:
            yield table.name, dict(row._mapping)
        if len(rows) < ROWS_AT_ONCE:
            return
        after = tuple(getattr(rows[-1], key.name) for key in keys)
