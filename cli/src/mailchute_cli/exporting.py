"""`mailchute export` and `mailchute import`: an installation's routes as a file, and back."""

from __future__ import annotations

import os
from pathlib import Path

import click
from mailchute.installation import open_sealer
from mailchute.routes.written import routes_text
from mailchute.store.current import current

from . import routes
from .control import on_installation, opened

HEAD = "# The routes of a Mailchute installation; `mailchute import` makes another one agree with it.\n"
WITHOUT = (
    "# Without secrets: an endpoint that is there keeps its own, a new one gets one made; header fields,\n"
    "# basic_auth, keys and certificates are not in here, and importing this takes them away.\n"
)
WITH = "# With secrets: whoever reads this can sign as you.\n"


@click.command("export", short_help="Write the routes as a file.")
@click.option("--with-secrets", is_flag=True, help="With secrets, header fields, keys and certificates.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file, for its owner alone; else stdout.",
)
@on_installation
def export(with_secrets: bool, output: Path | None, data: Path | None) -> None:
    """Write all domains, aliases, rules and endpoints as a routes file."""
    with opened(data) as control, control.database.read() as connection:
        sealer = open_sealer(connection, control.keyring()) if with_secrets else None
        wanted = current(connection, control.account_id(connection), sealer)
    left_out = [one.name for one in wanted.domains if not one.aliases]
    note = f"# Domains without an alias are not in here: {', '.join(left_out)}\n" if left_out else ""
    text = HEAD + (WITH if with_secrets else WITHOUT) + note + routes_text(wanted)
    if output is None:
        click.echo(text, nl=False)
        return
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)  # it may have been there before, for everybody
        file.write(text)


import_ = click.Command(
    "import",
    callback=routes.apply.callback,
    params=routes.apply.params,
    help="Make the installation agree with FILE of `mailchute export`, in one transaction: `routes apply`.",
    short_help="Make the routes agree with an exported file.",
)
