"""How the tables came to be, step by step (Alembic), run inside our own process."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory


def run(connection: sa.Connection, revision: str) -> None:
    """Bring the tables to `revision` ("head", "base", an id, "-1") within the caller's transaction."""
    config = _config()
    config.attributes["connection"] = connection
    upward = revision == "head" or revision in _newer_than(current(connection))
    (command.upgrade if upward else command.downgrade)(config, revision)


def current(connection: sa.Connection) -> str | None:
    """Return the revision the tables are at; None when they were never migrated."""
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """Return the revision this release needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def _newer_than(revision: str | None) -> set[str]:
    scripts = ScriptDirectory.from_config(_config())
    return {step.revision for step in scripts.iterate_revisions("head", revision or "base")} - {revision}


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "mailchute:migrations")
    config.set_main_option("path_separator", "os")
    return config
