"""One round of removing: what has outlived its time goes, and what is due next is named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from mailchute.database import Database, check_migrated
from mailchute.expiring import ExpireAnswer, ExpireRequest
from mailchute.resolver import Resolver

from .domains import DomainChecks
from .due import due_mails, held_mails, oldest_due_s
from .housekeeping import tidy
from .removal import Storage, remove
from .settings import Settings
from .storage import S3Storage, opened_by


class Rounds:
    """Answers the connector, which asks page by page; a round begins with the first."""

    def __init__(
        self, database: Database, storage: Storage, checks: DomainChecks, now: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._storage = storage
        self._checks = checks
        self._now = now

    @classmethod
    def opened(cls, settings: Settings) -> Rounds:
        """
        Raises:
            BadSetting: The database is not migrated.
            DatabaseUnavailable: It does not answer.
        """
        database = Database(settings.database_url)
        check_migrated(database)
        opened = opened_by(database, settings.keyring)
        storage = S3Storage(settings.s3, opened=opened, allowed=settings.allow_private)
        now = partial(datetime.now, UTC)
        return cls(database, storage, DomainChecks(database, Resolver(settings.dns), now), now)

    def answer(self, request: ExpireRequest) -> ExpireAnswer:
        """
        Remove what no stream holds any more, and return what is due next.

        Raises:
            DatabaseUnavailable: It does not answer; ask again.
        """
        now = self._now()
        if request.outlived:
            held = held_mails(self._database, request.outlived)
            return ExpireAnswer(deleted_count=0, due=(), oldest_due_s=0.0, held=held)
        if request.after is None:
            self._checks.begin()
            tidy(self._database, now)
        deleted_count = remove(self._database, self._storage, request.erased, now)
        due = due_mails(self._database, now, after=request.after)
        return ExpireAnswer(
            deleted_count=deleted_count, due=due, oldest_due_s=oldest_due_s(self._database, now)
        )
