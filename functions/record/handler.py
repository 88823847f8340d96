"""record: the journal in, the database agrees with it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mailchute.database import Database
from mailchute.function import Answer, Call, answer
from mailchute.journal import JournalBatch, Recorded

from .ledger import Limits, record
from .settings import Settings

CONCURRENCY = 2  # one writes, the next is decoded: the database takes one batch at a time
PUBLIC = False

_database: Database | None = None
_settings: Settings | None = None


def start(environ: Mapping[str, str] = os.environ) -> None:
    """
    Open the database.

    Raises:
        BadSetting: A setting cannot be used, or the database is not migrated.
        DatabaseUnavailable: It does not answer; the host starts us again.
    """
    global _database, _settings  # noqa: PLW0603 (a function is a module: this is its state)
    _settings = Settings.read(environ)
    _database = _settings.open()


def handle(call: Call) -> Answer:
    """Answer a JournalBatch with Recorded; 503 while the database is away."""
    return answer(call, JournalBatch, _recorded)


def _recorded(batch: JournalBatch) -> Recorded:
    assert _database is not None, "start() comes first"
    assert _settings is not None, "start() comes first"
    limits = Limits(dead_retention_s=_settings.dead_retention_s, failing_s=_settings.failing_s)
    new_count = record(_database, batch.events, limits=limits)
    return Recorded(new_count=new_count)
