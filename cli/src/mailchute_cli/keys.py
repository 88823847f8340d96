"""`mailchute keys`: what a program needs to call the REST API."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from mailchute.errors import BadSetting
from mailchute.store import audit
from mailchute.store import keys as store
from mailchute.store.accounts import DEFAULT_ACCOUNT, ensure_account

from .accounts import account_of
from .control import on_installation, opened
from .table import AS_JSON, show, show_json


@click.group()
def keys() -> None:
    """Keys for the REST API, sent as X-API-KEY."""


@keys.command()
@click.option("--name", required=True, help="What it is for, such as `ci`.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(store.SCOPES),
    help="What it may; several times. Without it: everything.",
)
@click.option("--account", default=DEFAULT_ACCOUNT, show_default=True, help="Whose key it is.")
@AS_JSON
@on_installation
def create(name: str, scopes: tuple[str, ...], account: str, as_json: bool, data: Path | None) -> None:
    """Make a key and show it; it is not to be had again."""
    now = datetime.now(UTC)
    with opened(data) as control, control.database.write() as connection:
        is_default = account == DEFAULT_ACCOUNT
        account_id = ensure_account(connection, now=now) if is_default else account_of(connection, account)
        try:
            made, text = store.create(
                connection, account_id=account_id, name=name, now=now, scopes=scopes or store.SCOPES
            )
        except ValueError as error:
            raise BadSetting(str(error)) from None
        audit.note(
            connection, account_id=account_id, now=now, actor=audit.CLI,
            action="key.add", object_id=made.id, detail=name,
        )  # fmt: skip
    if as_json:
        show_json({"id": made.id, "name": name, "scopes": made.scopes, "key": text})
    else:
        print(f"{text}\n\nIt is shown this once. Send it as the header field X-API-KEY.")


@keys.command("list")
@AS_JSON
@on_installation
def list_keys(as_json: bool, data: Path | None) -> None:
    """Show the keys there are, never what they are."""
    with opened(data) as control, control.database.read() as connection:
        found = store.list_keys(connection, control.account_id(connection))
    if as_json:
        show_json({"keys": found})
        return
    show(
        ("id", "name", "scopes", "created", "last used", "revoked"),
        [(k.id, k.name, " ".join(k.scopes), k.created_at, k.last_used_at, k.revoked_at) for k in found],
        nothing="no key yet: `mailchute keys create --name …` makes one",
    )


@keys.command()
@click.argument("key_id")
@on_installation
def revoke(key_id: str, data: Path | None) -> None:
    """Take a key back at once."""
    now = datetime.now(UTC)
    with opened(data) as control, control.database.write() as connection:
        account_id = control.account_id(connection)
        if not store.revoke(connection, account_id=account_id, key_id=key_id, now=now):
            raise BadSetting(f"{key_id}: no such key, or revoked already; `mailchute keys list` shows them")
        audit.note(
            connection, account_id=account_id, now=now, actor=audit.CLI,
            action="key.revoke", object_id=key_id,
        )  # fmt: skip
    print(f"{key_id} is revoked")
