"""How a command reaches the control plane: the database and master key of an installation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click
import sqlalchemy as sa
from mailchute.database import Database, check_migrated
from mailchute.errors import BadSetting
from mailchute.sealing import Keyring
from mailchute.settings import DatabaseSettings, Reader
from mailchute.store.accounts import account_id_of

from .home import Home

DATA = Path("data")  # as `mailchute up` has it

Command = TypeVar("Command", bound=Callable[..., object])


@dataclass(frozen=True, kw_only=True)
class Control:
    """An installation's database, and the keys that open its secrets."""

    database: Database
    master_key_file: Path | None

    def keyring(self) -> Keyring:
        """
        Raises:
            BadSetting: No master key is given.
        """
        if self.master_key_file is None:
            raise BadSetting(
                "no master key: set MAILCHUTE_MASTER_KEY_FILE to the file the installation was begun with"
            )
        return Keyring.from_file(self.master_key_file)

    def account_id(self, connection: sa.Connection) -> str:
        """Return the account that commands work in; "" before anything was written."""
        return account_id_of(connection) or ""


@contextmanager
def opened(data: Path | None, environ: Mapping[str, str] = os.environ) -> Iterator[Control]:
    """
    Yield the installation in `data`, or, without one, the one the environment names.

    Raises:
        BadSetting: There is none, or it is not migrated.
    """
    url, key_file = _where(data, environ)
    database = Database(url)
    try:
        check_migrated(database)
        yield Control(database=database, master_key_file=key_file)
    finally:
        database.close()


def _where(data: Path | None, environ: Mapping[str, str]) -> tuple[str, Path | None]:
    reader = Reader(environ)
    settings = DatabaseSettings.read(reader)
    is_given = bool(reader.secret("MAILCHUTE_DATABASE_URL"))
    reader.check()
    directory = data or DATA
    if not is_given and not (directory / "mailchute.db").exists():
        raise BadSetting(
            f"there is no installation in {directory}: start `mailchute up`, name its directory with --data, "
            "or set MAILCHUTE_DATABASE_URL"
        )
    home = Home(directory) if directory.exists() else None
    key_file = Path(settings.master_key_file) if settings.master_key_file else None
    if key_file is None and home is not None:
        key_file = home.master_key()
    return settings.url if is_given or home is None else home.database_url, key_file


def database_url_of(data: Path | None, environ: Mapping[str, str]) -> str:
    """
    Return where the installation's tables are.

    Raises:
        BadSetting: There is no installation.
    """
    return _where(data, environ)[0]


def on_installation(command: Command) -> Command:
    """Give a command the option --data."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        help="The directory of `mailchute up`. Without it: MAILCHUTE_DATABASE_URL, or ./data.",
    )(command)
