"""`mailchute migrate`: bring the tables to what this release needs."""

from __future__ import annotations

import os
from pathlib import Path

import click
from mailchute import database

from .control import database_url_of, on_installation


@click.command()
@on_installation
def migrate(data: Path | None) -> None:
    """Bring the database's tables to what this release needs; `up` does it by itself."""
    url = database_url_of(data, os.environ)
    database.migrate(url)
    print("the database is as this release needs it")
