"""What the operations of this process work with, opened once at its start."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from mailchute.bucket import Bucket
from mailchute.database import Database, check_migrated

from .attachments import S3Attachments
from .commands import CommandDoor
from .operation import Services
from .rates import Rates
from .settings import Settings


def opened(settings: Settings) -> Services:
    """
    Return the services of these settings.

    Raises:
        BadSetting: The database is not migrated.
        DatabaseUnavailable: It does not answer.
    """
    database = Database(settings.database_url)
    check_migrated(database)
    buckets = partial(Bucket, allowed=settings.allow_private)
    return Services(
        database=database,
        keyring=settings.keyring,
        connector=CommandDoor(settings.connector_url, settings.internal_token),
        attachments=S3Attachments(settings.s3, buckets),
        now=lambda: datetime.now(UTC),
        signing_keys=settings.signing_keys,
        rates=Rates(settings.requests_per_minute),
        buckets=buckets,
        listen_url=settings.listen_url,
    )
