"""expire: which mails are due, and what is left of those that the streams no longer hold goes for good."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime

from mailchute.database import Database, check_migrated
from mailchute.expiring import ExpireAnswer, ExpireRequest
from mailchute.function import Answer, Call, answer
from mailchute.resolver import Resolver

from .domains import DomainChecks
from .due import due_mails, oldest_due_s
from .removal import remove
from .settings import Settings
from .storage import S3Storage

CONCURRENCY = 2
PUBLIC = False

_database: Database | None = None
_storage: S3Storage | None = None
_checks: DomainChecks | None = None


def start(environ: Mapping[str, str] = os.environ) -> None:
    """
    Open the database.

    Raises:
        BadSetting: A setting cannot be used, or the database is not migrated.
        DatabaseUnavailable: It does not answer; the host starts us again.
    """
    global _database, _storage, _checks  # noqa: PLW0603 - the host knows functions as modules
    settings = Settings.read(environ)
    database = Database(settings.database_url)
    check_migrated(database)
    _database, _storage = database, S3Storage(settings.s3)
    _checks = DomainChecks(database, Resolver(settings.dns), lambda: datetime.now(UTC))


def handle(call: Call) -> Answer:
    """Answer an ExpireRequest with an ExpireAnswer; 503 while the database is away."""
    return answer(call, ExpireRequest, _expired)


def _expired(request: ExpireRequest) -> ExpireAnswer:
    assert _database is not None, "start() comes first"
    assert _storage is not None, "start() comes first"
    if request.after is None and _checks is not None:  # once a round
        _checks.begin()
    now = datetime.now(UTC)
    deleted_count = remove(_database, _storage, request.erased, now)
    due = due_mails(_database, now, after=request.after)
    return ExpireAnswer(deleted_count=deleted_count, due=due, oldest_due_s=oldest_due_s(_database, now))
