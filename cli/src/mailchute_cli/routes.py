"""`mailchute routes`: check a routes file, show what it would change, make it so."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from mailchute.database import Database
from mailchute.installation import establish
from mailchute.routes.file import read_routes
from mailchute.sealing import Keyring
from mailchute.store import audit, routing
from mailchute.store.accounts import ensure_account
from mailchute.store.wanted import Change

from .control import on_installation, opened
from .table import AS_JSON, show_json

SIGNS = {"add": "+", "change": "~", "remove": "-"}
PRUNE = click.option("--prune", is_flag=True, help="Take away too what the API made and FILE does not have.")
FILE = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@click.group(short_help="Which address goes to which endpoint.")
def routes() -> None:
    """Which address goes to which endpoint: a file under version control."""


@routes.command()
@FILE
def check(file: Path) -> None:
    """Say every mistake of FILE with its line; needs no database."""
    domains = read_routes(file).domains
    aliases = sum(len(domain.aliases) for domain in domains)
    print(f"{file}: {_count(len(domains), 'domain')}, {_count(aliases, 'alias')}, no mistakes")


@routes.command()
@FILE
@PRUNE
@AS_JSON
@on_installation
def plan(file: Path, prune: bool, as_json: bool, data: Path | None) -> None:
    """Show what `apply` would change, and change nothing."""
    with opened(data) as control:
        changes = agree(file, control.database, control.keyring(), is_kept=False, prune=prune)
    _show([_without_secret(change) for change in changes], as_json)


@routes.command()
@FILE
@PRUNE
@AS_JSON
@on_installation
def apply(file: Path, prune: bool, as_json: bool, data: Path | None) -> None:
    """
    Make the installation agree with FILE, in one transaction.

    Secrets made for new endpoints are shown; `mailchute endpoints list --show-secrets` shows them again.
    """
    with opened(data) as control:
        changes = agree(file, control.database, control.keyring(), prune=prune)
    _show(changes, as_json)


def apply_file(file: Path, *, database_url: str, master_key_file: Path) -> str:
    """
    Make the installation agree with the file; return what changed, for a person, new secrets with it.

    Raises:
        BadSetting: The file cannot be used: one line for each mistake.
        DatabaseUnavailable: It does not answer.
        SecretUnreadable: The master key is another than the installation was begun with.
    """
    database = Database(database_url)
    try:
        return "\n".join(told(agree(file, database, Keyring.from_file(master_key_file))))
    finally:
        database.close()


def agree(
    file: Path, database: Database, keyring: Keyring, *, is_kept: bool = True, prune: bool = False
) -> tuple[Change, ...]:
    """Return what differed; the database agrees with the file, unless `is_kept` is False."""
    wanted = read_routes(file)
    now = datetime.now(UTC)
    with database.write() as connection, routing.trial(connection, is_kept=is_kept):
        account_id = ensure_account(connection, now=now)
        sealer = establish(connection, keyring)
        return routing.apply(
            connection, wanted, account_id=account_id, sealer=sealer, now=now, actor=audit.CLI, prune=prune
        )


def told(changes: Iterable[Change]) -> list[str]:
    """Return the changes as lines for a person, the summary first."""
    listed = list(changes)
    if not listed:
        return ["nothing to change"]
    counts = [
        _count(sum(1 for one in listed if (one.kind, one.what) == (kind, what)), what) + done
        for kind, done in (("add", " added"), ("change", " changed"), ("remove", " removed"))
        for what in ("account", "domain", "alias", "endpoint", "rules")
        if any((one.kind, one.what) == (kind, what) for one in listed)
    ]
    lines = [", ".join(counts)]
    for one in listed:
        lines.append(f"  {SIGNS[one.kind]} {one.what:<9} {one.name}")
        lines += [f"      {line}" for line in _differing(one)]
        if one.secret is not None:
            lines.append(f"      {one.id}  secret {one.secret}")
    return lines


def _differing(change: Change) -> list[str]:
    """Return what a change alters, a line each."""
    if change.what == "rules":
        before, after = change.before["rules"], change.after["rules"]
        marks = {"- ": "-", "+ ": "+", "  ": " "}
        return [f"{marks[line[:2]]} {line[2:]}" for line in difflib.ndiff(before, after) if line[:2] in marks]
    return [
        f"{name}: {_value(change.before.get(name))} → {_value(change.after.get(name))}"
        for name in change.fields
    ]


def _value(value: object) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _show(changes: Iterable[Change], as_json: bool) -> None:
    if as_json:
        show_json({"changes": list(changes)})
    else:
        print("\n".join(told(changes)))


def _without_secret(change: Change) -> Change:
    """Return the change as `plan` may show it: the secret it made is thrown away."""
    return msgspec.structs.replace(change, secret=None)


def _count(number: int, noun: str) -> str:
    plural = {"alias": "aliases", "rules": "rule lists"}.get(noun, noun + "s")
    return f"{number} {plural if number != 1 else noun.replace('rules', 'rule list')}"
