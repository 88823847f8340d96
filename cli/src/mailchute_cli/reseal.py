"""`mailchute reseal`: after a new master key, seal every secret with it."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from mailchute.store.reseal import reseal as seal_anew
from mailchute.store.reseal import row_count

from .control import on_installation, opened


@click.command()
@on_installation
def reseal(data: Path | None) -> None:
    """
    Seal every secret with the newest master key.

    Put a new key in the first line of the master key file and keep the former below it, start the parts
    anew, run this, then take the former key out.
    """
    with opened(data) as control:
        rows = row_count(control.database)
        # On a terminal alone: click draws nothing where nobody watches.
        with click.progressbar(length=rows, label="sealing anew", file=sys.stderr) as bar:
            count = seal_anew(control.database, control.keyring(), progress=bar.update)
    print(f"{count} secrets sealed anew: every one is under the newest key, the former can go")
