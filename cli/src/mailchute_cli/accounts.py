"""`mailchute accounts`: who has domains in this installation, on which plan."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import click
import sqlalchemy as sa
from mailchute import wire
from mailchute.errors import BadSetting
from mailchute.store import account_settings, audit
from mailchute.store.account_export import account_rows
from mailchute.store.accounts import account_id_of

from .control import on_installation, opened
from .table import AS_JSON, show, show_json

NAME = click.argument("name")


@click.group()
def accounts() -> None:
    """Accounts: each sees and touches its own alone."""


@accounts.command()
@NAME
@click.option("--plan", "plan_name", help="Its plan; without it nothing is limited.")
@AS_JSON
@on_installation
def create(name: str, plan_name: str | None, as_json: bool, data: Path | None) -> None:
    """Make the account NAME; `mailchute keys create --account NAME` makes a key of it."""
    if not name.strip() or len(name) > 100 or "\x00" in name:
        raise BadSetting("an account's name has 1 to 100 characters")
    now = datetime.now(UTC)
    with opened(data) as control, control.database.write() as connection:
        try:
            account_id = account_settings.create_account(connection, name=name, plan_name=plan_name, now=now)
        except LookupError:
            raise _no_plan(plan_name) from None
        _note(connection, account_id, now, "account.add", name)
    if as_json:
        show_json({"id": account_id, "name": name, "plan": plan_name})
    else:
        print(f"{account_id}  {name}")


@accounts.command("list")
@AS_JSON
@on_installation
def list_them(as_json: bool, data: Path | None) -> None:
    """Show every account, its plan and what it used of it this month."""
    with opened(data) as control, control.database.read() as connection:
        found = account_settings.list_accounts(connection, datetime.now(UTC))
    if as_json:
        show_json({"accounts": found})
        return
    show(
        ("id", "name", "plan", "mails this month", "aliases", "retention", "held since", "created"),
        [
            (
                one.id,
                one.name,
                "–" if one.plan is None else one.plan.name,
                _of(one.mail_count, one.plan.mails_per_month if one.plan else None),
                _of(one.alias_count, one.plan.aliases_max if one.plan else None),
                f"{one.retention_s} s",
                one.held_at,
                one.created_at,
            )
            for one in found
        ],
        nothing="no account yet: `mailchute accounts create NAME`, or the first routes file makes `default`",
    )


@accounts.command("set-plan")
@NAME
@click.argument("plan_name", metavar="PLAN")
@on_installation
def set_plan(name: str, plan_name: str, data: Path | None) -> None:
    """Put the account NAME on PLAN, its retention that of the plan; `none`: nothing is limited."""
    now = datetime.now(UTC)
    with opened(data) as control, control.database.write() as connection:
        account_id = account_of(connection, name)
        try:
            account_settings.set_plan(connection, account_id, None if plan_name == "none" else plan_name)
        except LookupError:
            raise _no_plan(plan_name) from None
        _note(connection, account_id, now, "account.change", f"{name} (plan_name)")
    print(f"{name} is on the plan {plan_name}")


@accounts.command()
@NAME
@click.option("--release", is_flag=True, help="Let go what is due again.")
@on_installation
def hold(name: str, release: bool, data: Path | None) -> None:
    """Remove nothing of the account NAME by age: an investigation is open."""
    now = datetime.now(UTC)
    with opened(data) as control, control.database.write() as connection:
        account_id = account_of(connection, name)
        account_settings.hold_account(connection, account_id, None if release else now)
        _note(connection, account_id, now, "account.change", f"{name} (held_at)")
    print(f"{name} is {'held no more' if release else 'held: nothing of it is removed by age'}")


@accounts.command()
@NAME
@click.option(
    "--to", "directory", required=True, type=click.Path(path_type=Path, file_okay=False), help="A new folder."
)
@on_installation
def export(name: str, directory: Path, data: Path | None) -> None:
    """
    Write all that is known of the account NAME into a folder: JSON lines, a file for each table.

    No secret is in it, and no mail: of a mail the log has no body and no sender. Attachments lie in the
    account's bucket; `objects` of a mail names them.
    """
    try:
        directory.mkdir(mode=0o700)
    except OSError as error:
        raise BadSetting(f"{directory}: {error.strerror}; name a folder that is not there yet") from None
    counts: Counter[str] = Counter()
    with opened(data) as control, control.database.read() as connection, ExitStack() as files:
        account_id = account_of(connection, name)
        into: dict[str, BinaryIO] = {}
        for table, row in account_rows(connection, account_id):
            if table not in into:
                into[table] = files.enter_context((directory / f"{table}.jsonl").open("xb"))
            into[table].write(wire.encode_json(row) + b"\n")
            counts[table] += 1
    for table, count in counts.items():
        print(f"{table}.jsonl  {count}")


def account_of(connection: sa.Connection, name: str) -> str:
    """
    Return the id of the account of this name.

    Raises:
        BadSetting: There is none.
    """
    found = account_id_of(connection, name)
    if found is None:
        raise BadSetting(f"{name}: no such account; `mailchute accounts list` shows them")
    return found


def _no_plan(plan_name: str | None) -> BadSetting:
    return BadSetting(f"{plan_name}: no such plan; `mailchute plans list` shows them")


def _note(connection: sa.Connection, account_id: str, now: datetime, action: str, detail: str) -> None:
    audit.note(
        connection, account_id=account_id, now=now, actor=audit.CLI, action=action, object_id=account_id,
        detail=detail,
    )  # fmt: skip


def _of(used: int, limit: int | None) -> str:
    return str(used) if limit is None else f"{used} of {limit}"
