"""Attachments on S3, as far as the API touches them: they go when their mail is erased."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mailchute.bucket import Bucket
from mailchute.settings import S3Settings
from mailchute.storage_connection import by_connection

from .problem import Problem

Opened = Callable[[str], S3Settings | None]  # of the id of an account's storage connection


class Attachments(Protocol):
    """Where attachments lie."""

    def delete(self, keys: tuple[str, ...], opened: Opened) -> None:
        """
        Delete them, those in an account's own bucket too.

        Raises:
            Problem: 503, some may still be there: ask again.
        """


class S3Attachments:
    """The installation's bucket, and those of accounts."""

    def __init__(self, settings: S3Settings, buckets: Callable[[S3Settings], Bucket]) -> None:
        self._bucket = Bucket(settings)
        self._buckets = buckets

    def delete(self, keys: tuple[str, ...], opened: Opened) -> None:
        for connection_id, names in by_connection(keys).items():
            if connection_id is None:
                if not self._bucket.settings.bucket:
                    raise Problem(503, "the mail has attachments on S3, and no S3 is configured here")
                left = self._bucket.delete(names)
            else:
                settings = opened(connection_id)
                if settings is None:
                    continue  # nothing that is kept lay there when it was taken away
                left = self._buckets(settings).delete(names)
            if left:
                raise Problem(503, "some attachments could not be deleted: try again", retry_after_s=2)
