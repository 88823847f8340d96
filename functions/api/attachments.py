"""Attachments on S3, as far as the API touches them: erased with their mail, and handed out by links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mailchute.bucket import Bucket
from mailchute.settings import S3Settings
from mailchute.stored_key import by_connection, parted

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

    def url_of(self, key: str, opened: Opened, life_s: int) -> str | None:
        """
        Return a URL that downloads the object for so long; None: it is not there any more.

        Raises:
            StorageUnavailable: S3 does not say.
        """


class S3Attachments:
    """The installation's bucket, and those of accounts."""

    def __init__(self, settings: S3Settings, buckets: Callable[[S3Settings], Bucket]) -> None:
        self._ours = Bucket(settings)
        self._buckets = buckets

    def delete(self, keys: tuple[str, ...], opened: Opened) -> None:
        for connection_id, names in by_connection(keys).items():
            if connection_id is None and not self._ours.settings.bucket:
                raise Problem(503, "the mail has attachments on S3, and no S3 is configured here")
            bucket = self._bucket_of(connection_id, opened)
            if bucket is not None and bucket.delete(names):
                raise Problem(503, "some attachments could not be deleted: try again", retry_after_s=2)

    def url_of(self, key: str, opened: Opened, life_s: int) -> str | None:
        connection_id, name = parted(key)
        bucket = self._bucket_of(connection_id, opened)
        if bucket is None or not bucket.has(name):
            return None
        return bucket.url_of(name, life_s)

    def _bucket_of(self, connection_id: str | None, opened: Opened) -> Bucket | None:
        """Return the bucket; None: there is none, and nothing that is kept lay there when it went."""
        if connection_id is None:
            return self._ours if self._ours.settings.bucket else None
        settings = opened(connection_id)
        return None if settings is None else self._buckets(settings)
