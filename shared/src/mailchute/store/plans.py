"""Plans as they are kept, and what the plan of an account allows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from mailchute.alias import RETENTION_S
from mailchute.plans import Permission, Plan
from mailchute.store.refusals import OverPlan
from mailchute.tables import account, alias, plan


def apply_plans(connection: sa.Connection, wanted: Sequence[Plan]) -> list[str]:
    """
    Make these plans what is written, and return the names of those that differed; others stay as they are.

    An account whose retention a plan no longer allows gets the plan's longest.
    """
    changed = []
    known = {one.name: one for one in list_plans(connection)}
    for one in wanted:
        if known.get(one.name) == one:
            continue
        values = _columns_of(one)
        if one.name in known:
            connection.execute(sa.update(plan).where(plan.c.name == one.name).values(values))
        else:
            connection.execute(sa.insert(plan).values(values))
        connection.execute(
            sa.update(account)
            .where(account.c.plan_name == one.name, account.c.retention_s > one.retention_max_s)
            .values(retention_s=one.retention_max_s)
        )
        changed.append(one.name)
    return changed


def list_plans(connection: sa.Connection) -> list[Plan]:
    """Return every plan, by name."""
    return [_plan_of(row) for row in connection.execute(sa.select(plan).order_by(plan.c.name))]


def plan_of(connection: sa.Connection, account_id: str) -> Plan | None:
    """Return the account's plan; None when nothing is limited."""
    row = connection.execute(
        sa.select(plan).join(account, account.c.plan_name == plan.c.name).where(account.c.id == account_id)
    ).first()
    return None if row is None else _plan_of(row)


def check_permission(connection: sa.Connection, account_id: str, permission: Permission) -> None:
    """
    Raises:
        OverPlan: The account's plan lacks it.
    """
    found = plan_of(connection, account_id)
    if found is not None and permission not in found.permissions:
        raise OverPlan(f"the plan {found.name} does not have {permission}")


def check_retention(connection: sa.Connection, account_id: str, retention_s: int) -> None:
    """
    Raises:
        OverPlan: The account's plan does not allow so long a retention, or none but its own.
    """
    found = plan_of(connection, account_id)
    if found is None:
        return
    if retention_s > found.retention_max_s:
        raise OverPlan(
            f"retention: {retention_s} s is more than the {found.retention_max_s} s of the account's plan"
        )
    if "retention.custom" not in found.permissions and retention_s not in (found.retention_s, RETENTION_S):
        raise OverPlan(f"retention: the plan {found.name} does not have retention.custom")


def check_alias_count(connection: sa.Connection, account_id: str) -> None:
    """
    Look, after aliases were added in this transaction, whether the plan allows as many.

    Raises:
        OverPlan: It does not.
    """
    if connection.dialect.name != "sqlite":  # two that add one at once must not both see room
        connection.execute(sa.select(account.c.id).where(account.c.id == account_id).with_for_update())
    found = plan_of(connection, account_id)
    if found is None or found.aliases_max is None:
        return
    count = connection.scalar(
        sa.select(sa.func.count()).where(alias.c.account_id == account_id, alias.c.deleted_at.is_(None))
    )
    if (count or 0) > found.aliases_max:
        raise OverPlan(f"{count} aliases are more than the {found.aliases_max} of the plan {found.name}")


def _columns_of(one: Plan) -> dict[str, Any]:
    values = {name: getattr(one, name) for name in Plan.__struct_fields__}
    return {**values, "permissions": list(one.permissions)}


def _plan_of(row: Any) -> Plan:
    values = {name: getattr(row, name) for name in Plan.__struct_fields__}
    retention_s = row.retention_max_s if row.retention_s is None else row.retention_s
    return Plan(**{**values, "permissions": tuple(row.permissions), "retention_s": retention_s})
