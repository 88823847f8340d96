"""What the database needs before mail can flow: its tables, and the routes of the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def prepare(settings: Mapping[str, str], routes: Path | None) -> str:
    """
    Bring the database up to date, and make it say what the routes file says.

    Returns:
        What changed in the routes, for a person; "" without a file.
    Raises:
        BadSetting, MailchuteError: As apply().
    """
    from mailchute.database import migrate  # noqa: PLC0415 - half a second that only this thread waits for

    migrate(database_url(settings))
    return apply(settings, routes) if routes else ""


def apply(settings: Mapping[str, str], routes: Path) -> str:
    """
    Make the database say what the file says; return what changed, for a person.

    Raises:
        BadSetting, MailchuteError: The file is wrong, or the database cannot be reached: nothing changed.
    """
    from mailchute_cli.routes import apply_file  # noqa: PLC0415

    key_file = Path(_setting(settings, "MAILCHUTE_MASTER_KEY_FILE"))
    applied: str = apply_file(routes, database_url=database_url(settings), master_key_file=key_file)
    return applied


def database_url(settings: Mapping[str, str]) -> str:
    """Return where the database is."""
    return _setting(settings, "MAILCHUTE_DATABASE_URL")


def _setting(settings: Mapping[str, str], name: str) -> str:
    return settings.get(name) or os.environ[name]
