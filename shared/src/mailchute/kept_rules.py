"""An alias's rules as the flow asks them: its own, then its domain's, each endpoint by its id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from mailchute.alias import Rule
from mailchute.tables import domain_rule, rule

COLUMNS = ("condition", "then", "notify", "tag", "endpoint_url", "drop", "words")


def rules_for(
    connection: sa.Connection, alias_id: str, domain_id: str, endpoint_ids: Mapping[str, str]
) -> tuple[Rule, ...]:
    """
    Return the rules that a mail for this alias is asked, in order.

    Args:
        endpoint_ids: The alias's endpoints by URL: a snapshot names them by id, for a URL may be secret.
    """
    rows = connection.execute(_RULES, {"alias_id": alias_id, "domain_id": domain_id})
    return tuple(
        msgspec.structs.replace(one, endpoint_url=None, endpoint_id=endpoint_ids.get(one.endpoint_url or ""))
        for one in map(rule_of, rows)
    )


def rule_of(row: Any) -> Rule:
    """Return the rule that a row of either table holds."""
    return Rule(
        when=row.condition,
        then=row.then,
        notify=row.notify,
        tag=row.tag,
        endpoint_url=row.endpoint_url,
        drop=tuple(row.drop.split("\n")) if row.drop else (),
        words=row.words,
    )


def _selected(table: sa.Table, rank: int, owner: str) -> sa.Select[Any]:
    columns = [table.c[name] for name in COLUMNS]
    ranked = sa.select(sa.literal_column(str(rank)).label("rank"), table.c.position, *columns)
    return ranked.where(table.c[owner] == sa.bindparam(owner))


_RULES = sa.union_all(_selected(rule, 0, "alias_id"), _selected(domain_rule, 1, "domain_id")).order_by(
    "rank", "position"
)
