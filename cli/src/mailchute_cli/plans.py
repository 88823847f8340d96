"""`mailchute plans`: what an installation that serves others grants, as a file under version control."""

from __future__ import annotations

from pathlib import Path

import click
from mailchute.plan_file import read_plans
from mailchute.store.plans import apply_plans, list_plans

from .control import on_installation, opened
from .table import AS_JSON, show, show_json


@click.group()
def plans() -> None:
    """Plans: limits and features of accounts. Without one, an account has no limit."""


@plans.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@AS_JSON
@on_installation
def apply(file: Path, as_json: bool, data: Path | None) -> None:
    """
    Make the plans in FILE what it says; others stay as they are.

    docs/plans.yml is a sample. An account whose retention its plan no longer allows gets the plan's longest.
    """
    wanted = read_plans(file)
    with opened(data) as control, control.database.write() as connection:
        changed = apply_plans(connection, wanted)
    if as_json:
        show_json({"changed": changed})
    else:
        print(f"changed: {', '.join(changed)}" if changed else "nothing to change")


@plans.command("list")
@AS_JSON
@on_installation
def list_them(as_json: bool, data: Path | None) -> None:
    """Show every plan."""
    with opened(data) as control, control.database.read() as connection:
        found = list_plans(connection)
    if as_json:
        show_json({"plans": found})
        return
    show(
        ("plan", "mails a month", "aliases", "octets of a mail", "retention", "up to", "features"),
        [
            (
                one.name,
                one.mails_per_month,
                one.aliases_max,
                one.size_max_octets,
                f"{one.retention_s} s",
                f"{one.retention_max_s} s",
                " ".join(one.permissions),
            )
            for one in found
        ],
        nothing="no plan yet: nothing is limited; `mailchute plans apply docs/plans.yml` makes some",
    )
