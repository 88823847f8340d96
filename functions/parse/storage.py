"""Attachments on S3: put there once under a name without user text, and a URL that ends."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from mailchute.bucket import Bucket
from mailchute.downloads import PATH, token_of
from mailchute.errors import StorageUnavailable
from mailchute.payload import Attachment
from mailchute.sealing import Keyring
from mailchute.settings import S3Settings
from mailchute.stored_key import key_in, parted

from .draft import Upload
from .settings import URL_LIFE_S, Settings

if TYPE_CHECKING:
    from mailchute.directory import Directory

BUCKETS_MAX_COUNT = 256  # of accounts, whose clients are kept


class Storage:
    """
    The buckets that large attachments go to: the installation's, and accounts' own.

    Raises:
        BadSetting: The master key cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        key_file = settings.master_key_file
        self._keyring = Keyring.from_file(Path(key_file)) if key_file else None
        self._ours = Bucket(settings.s3)
        self._buckets: dict[S3Settings, Bucket] = {}
        self._uploaders = ThreadPoolExecutor(8, thread_name_prefix="upload")

    def create_bucket(self) -> None:
        """
        Create the installation's bucket unless it is there.

        Raises:
            StorageUnavailable: S3 does not answer, or refuses.
        """
        self._ours.create()

    def bucket_of(self, connection_id: str | None) -> Bucket | None:
        """
        Return the bucket behind this storage connection, the installation's for None; None: there is none.

        Raises:
            StorageUnavailable: What opens it is not given to us.
            DirectoryUnavailable: The database is away, and it was never asked before.
            SecretUnreadable: Its keys do not open.
        """
        if connection_id is None:
            return self._ours if self._ours.settings.bucket else None
        settings = self._directory.connection(connection_id)
        if settings is None:
            return None
        if settings not in self._buckets:
            if len(self._buckets) >= BUCKETS_MAX_COUNT:
                self._buckets.clear()
            self._buckets[settings] = Bucket(settings, allowed=self._settings.allow_private)
        return self._buckets[settings]

    def put_all(
        self, mail_id: str, uploads: Iterable[tuple[Upload, Attachment]], connection_id: str | None = None
    ) -> list[str] | None:
        """
        Store the octets of these attachments and return their keys, in the same order; None: nowhere to.

        A key is the mail's id and the attachment's number: put twice, it is the same object.

        Raises:
            StorageUnavailable: One could not be stored; nothing is to be told about any.
        """
        bucket = self.bucket_of(connection_id)
        if bucket is None:
            return None
        futures = [self._uploaders.submit(_put, bucket, mail_id, *each) for each in uploads]
        return [key_in(connection_id, future.result()) for future in futures]

    def url_of(self, key: str, *, now: datetime, retention_s: int = 0) -> tuple[str, datetime]:
        """Return a URL that downloads the object, and when it ends; it is signed here, S3 is not asked."""
        public_url = self._settings.public_url
        if retention_s > URL_LIFE_S and public_url and self._keyring is not None:
            ends_at = _ends_at(now, retention_s)
            return f"{public_url}{PATH}{token_of(self._keyring, key, ends_at)}", ends_at
        connection_id, name = parted(key)
        bucket = self.bucket_of(connection_id)
        if bucket is None:
            raise StorageUnavailable("the storage connection was taken away a moment ago")
        return bucket.url_of(name, URL_LIFE_S), _ends_at(now, URL_LIFE_S)

    @cached_property
    def _directory(self) -> Directory:
        if self._keyring is None:
            raise StorageUnavailable(
                "an account has its own bucket: set MAILCHUTE_MASTER_KEY_FILE and MAILCHUTE_DATABASE_URL"
            )
        # A third of a second of imports: most installations have no account with a bucket of its own.
        from mailchute.directory import Directory  # noqa: PLC0415

        return Directory(self._settings.database_url, keyring=self._keyring)


def _ends_at(now: datetime, life_s: int) -> datetime:
    return (now + timedelta(seconds=life_s)).astimezone(UTC).replace(microsecond=0)


def _put(bucket: Bucket, mail_id: str, upload: Upload, attachment: Attachment) -> str:
    name = f"{mail_id}/{upload.index}"
    bucket.put(
        name,
        upload.octets,
        ContentType="application/octet-stream",  # never rendered by a browser under our name
        ContentDisposition=content_disposition(attachment.filename),
        Metadata={"sha256": attachment.sha256},
    )
    return name


def content_disposition(filename: str) -> str:
    """Return a Content-Disposition that saves the file under its name (RFC 6266, 4.3; RFC 8187)."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " ._-()") else "_" for c in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
