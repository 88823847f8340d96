"""`mailchute block`: whose mail is refused at the SMTP edge."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from mailchute.errors import BadSetting
from mailchute.store import audit, blocking
from mailchute.store.accounts import ensure_account

from .control import on_installation, opened
from .table import AS_JSON, show, show_json

ENTRIES_SHOWN = 100_000


@click.group(short_help="Whose mail is refused at the SMTP edge.")
def block() -> None:
    """Whose mail is refused at the SMTP edge, before it is read."""


@block.command(short_help="Refuse an address, a domain or a network.")
@click.argument("value")
@click.option("--note", default="", help="Why; for people.")
@AS_JSON
@on_installation
def add(value: str, note: str, as_json: bool, data: Path | None) -> None:
    """Refuse mail of VALUE: an address, a domain (and all below it), or a network such as 192.0.2.0/24."""
    now = datetime.now(UTC)
    with opened(data) as control, control.database.write() as connection:
        account_id = ensure_account(connection, now=now)
        try:
            entry = blocking.add(
                connection, account_id=account_id, kind=kind_of(value), value=value, now=now, actor=audit.CLI,
                note=note,
            )  # fmt: skip
        except ValueError as error:
            raise BadSetting(f"{value}: {error}") from None
    if as_json:
        show_json(entry)
    else:
        print(f"{entry.kind} {entry.value} is blocked, as {entry.id}; known at the edge within seconds")


@block.command("list")
@AS_JSON
@on_installation
def list_them(as_json: bool, data: Path | None) -> None:
    """Show the entries there are."""
    with opened(data) as control, control.database.read() as connection:
        found = blocking.list_entries(connection, control.account_id(connection), limit=ENTRIES_SHOWN)
    if as_json:
        show_json({"entries": found})
        return
    show(
        ("id", "kind", "value", "since", "note"),
        [(one.id, one.kind, one.value, one.created_at, one.note) for one in found],
        nothing="nobody is blocked",
    )


@block.command(short_help="Take mail of someone again.")
@click.argument("entry")
@AS_JSON
@on_installation
def remove(entry: str, as_json: bool, data: Path | None) -> None:
    """Take mail again of ENTRY: the id of a block entry, or its value."""
    now = datetime.now(UTC)
    with opened(data) as control, control.database.write() as connection:
        account_id = control.account_id(connection)
        found = blocking.list_entries(connection, account_id, limit=ENTRIES_SHOWN)
        entry_id = next((one.id for one in found if entry.lower() in (one.id, one.value)), entry)
        gone = blocking.remove(connection, account_id=account_id, entry_id=entry_id, now=now, actor=audit.CLI)
    if gone is None:
        raise BadSetting(f"{entry}: no such entry; `mailchute block list` shows them")
    if as_json:
        show_json(gone)
    else:
        print(f"{gone.kind} {gone.value} is blocked no more")


def kind_of(value: str) -> str:
    """Return what kind of entry this is by its looks; whether it is one is for the store to say."""
    if "@" in value:
        return "address"
    is_network = ":" in value or "/" in value or value.replace(".", "").isdecimal()
    return "network" if is_network else "domain"
