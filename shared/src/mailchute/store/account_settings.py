"""An account and what may be set of it: retention, hold, storage, plan."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from mailchute.alias import RETENTION_S
from mailchute.ids import new_id
from mailchute.plans import Plan
from mailchute.quota import month_of
from mailchute.store.plans import check_permission, check_retention, plan_of
from mailchute.store.refusals import Taken
from mailchute.tables import account, alias, plan, storage_connection, usage


class AccountView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An account as its owner sees it."""

    id: str
    name: str
    plan: Plan | None  # None: nothing is limited
    retention_s: int
    held_at: datetime | None  # an investigation is open: nothing is removed by age
    storage_connection_id: str | None  # None: large attachments go to the installation's bucket
    mail_count: int  # accepted in this calendar month, UTC
    alias_count: int
    created_at: datetime


def account_of(connection: sa.Connection, account_id: str, now: datetime) -> AccountView:
    """Return the account."""
    row = connection.execute(sa.select(account).where(account.c.id == account_id)).one()
    used = sa.select(usage.c.mail_count).where(
        usage.c.account_id == account_id, usage.c.month == month_of(now)
    )
    aliases = sa.select(sa.func.count()).where(alias.c.account_id == account_id, alias.c.deleted_at.is_(None))
    return AccountView(
        id=row.id,
        name=row.name,
        plan=plan_of(connection, account_id),
        retention_s=row.retention_s,
        held_at=row.held_at,
        storage_connection_id=row.storage_connection_id,
        mail_count=connection.scalar(used) or 0,
        alias_count=connection.scalar(aliases) or 0,
        created_at=row.created_at,
    )


def list_accounts(connection: sa.Connection, now: datetime) -> list[AccountView]:
    """Return every account, the oldest first."""
    ids = connection.scalars(sa.select(account.c.id).order_by(account.c.id)).all()
    return [account_of(connection, account_id, now) for account_id in ids]


def create_account(connection: sa.Connection, *, name: str, plan_name: str | None, now: datetime) -> str:
    """
    Return the id of the new account.

    Raises:
        Taken: There is one of this name.
        LookupError: There is no such plan.
    """
    if connection.scalar(sa.select(account.c.id).where(account.c.name == name)) is not None:
        raise Taken(f"{name}: there is an account of this name")
    account_id = new_id("acc")
    connection.execute(sa.insert(account).values(id=account_id, name=name, created_at=now))
    set_plan(connection, account_id, plan_name)
    return account_id


def set_plan(connection: sa.Connection, account_id: str, plan_name: str | None) -> None:
    """
    Put the account on this plan, its retention that of the plan; None: nothing is limited any more.

    What it has beyond the plan stays: nothing more is added, and nothing is taken away.

    Raises:
        LookupError: There is no such plan.
    """
    values: dict[str, object] = {"plan_name": plan_name}
    if plan_name is not None:
        found = connection.execute(sa.select(plan).where(plan.c.name == plan_name)).first()
        if found is None:
            raise LookupError(plan_name)
        retention_s = found.retention_max_s if found.retention_s is None else found.retention_s
        values["retention_s"] = min(retention_s, found.retention_max_s)
    connection.execute(sa.update(account).where(account.c.id == account_id).values(values))


def set_retention(connection: sa.Connection, account_id: str, retention_s: int = RETENTION_S) -> None:
    """
    Keep mail that is accepted from now on so long after its end.

    Raises:
        OverPlan: The plan does not allow it.
    """
    check_retention(connection, account_id, retention_s)
    connection.execute(sa.update(account).where(account.c.id == account_id).values(retention_s=retention_s))


def hold_account(connection: sa.Connection, account_id: str, held_at: datetime | None) -> None:
    """Remove nothing of the account by age from now on; None: remove what is due again."""
    connection.execute(sa.update(account).where(account.c.id == account_id).values(held_at=held_at))


def use_connection(connection: sa.Connection, account_id: str, connection_id: str | None) -> bool:
    """
    Let the large attachments of mail that is accepted from now on go there; return whether it is there.

    Raises:
        OverPlan: The plan has no storage.
    """
    if connection_id is not None:
        check_permission(connection, account_id, "storage.s3")
        known = sa.select(storage_connection.c.id).where(
            storage_connection.c.id == connection_id,
            storage_connection.c.account_id == account_id,
            storage_connection.c.deleted_at.is_(None),
        )
        if connection.scalar(known) is None:
            return False
    connection.execute(
        sa.update(account).where(account.c.id == account_id).values(storage_connection_id=connection_id)
    )
    return True


def lock_account(connection: sa.Connection, account_id: str) -> None:
    """Let nobody else change the account until our end."""
    connection.execute(sa.select(account.c.id).where(account.c.id == account_id).with_for_update())
