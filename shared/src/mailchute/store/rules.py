"""The rules of an alias or a domain as they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from mailchute.alias import Rule
from mailchute.kept_rules import COLUMNS, rule_of
from mailchute.store.wanted import Change


def write_rules(
    connection: sa.Connection, table: sa.Table, owner_id: str, wanted: Sequence[Rule]
) -> tuple[Rule, ...] | None:
    """
    Make these the rules of their owner; return what they were, None when they are the same.

    Args:
        table: mailchute.tables.rule or domain_rule.
        owner_id: The alias's id, or the domain's.
    """
    former = read_rules(connection, table, owner_id)
    if former == tuple(wanted):
        return None
    owner = _owner_of(table)
    connection.execute(sa.delete(table).where(owner == owner_id))
    if wanted:
        rows = [{owner.name: owner_id, "position": place, **_row_of(one)} for place, one in enumerate(wanted)]
        connection.execute(sa.insert(table), rows)
    return former


def replace_rules(
    connection: sa.Connection, table: sa.Table, owner_id: str, name: str, wanted: Sequence[Rule]
) -> Change | None:
    """Make these the rules of their owner; return the change, None when they are the same."""
    former = write_rules(connection, table, owner_id, wanted)
    if former is None:
        return None
    before, after = ({"rules": [text_of(one) for one in rules]} for rules in (former, wanted))
    return Change(kind="change", what="rules", name=name, id=owner_id, before=before, after=after)


def text_of(one: Rule) -> str:
    """Return the rule as one line for a person."""
    detail = {"tag": one.tag, "route": one.endpoint_url or "", "drop": " ".join(one.drop)}.get(one.then, "")
    return f"{one.when} → {one.then} {detail}".rstrip()


def read_rules(connection: sa.Connection, table: sa.Table, owner_id: str) -> tuple[Rule, ...]:
    """Return the rules of an alias or a domain in their order."""
    rows = connection.execute(
        sa.select(*(table.c[name] for name in COLUMNS))
        .where(_owner_of(table) == owner_id)
        .order_by(table.c.position)
    )
    return tuple(rule_of(row) for row in rows)


def _row_of(one: Rule) -> dict[str, Any]:
    return {
        "condition": one.when,
        "then": one.then,
        "notify": one.notify,
        "tag": one.tag,
        "endpoint_url": one.endpoint_url,
        "drop": "\n".join(one.drop) or None,
        "words": one.words,
    }


def _owner_of(table: sa.Table) -> sa.Column[Any]:
    return table.c.alias_id if "alias_id" in table.c else table.c.domain_id
