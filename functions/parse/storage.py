"""Attachments on S3: put there once under a name without user text, and a URL that ends."""

from __future__ import annotations

import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from mailchute.errors import StorageUnavailable
from mailchute.payload import Attachment
from mailchute.settings import S3Settings

from .draft import Upload
from .settings import URL_LIFE_S

PART_OCTETS = 8 * 1024 * 1024  # of a multipart upload; S3 asks for at least 5 MiB
_TRANSFER = TransferConfig(
    multipart_threshold=PART_OCTETS, multipart_chunksize=PART_OCTETS, use_threads=False
)
_AWAY = (BotoCoreError, ClientError, Boto3Error, OSError)


class Storage:
    """The bucket that large attachments go to."""

    def __init__(self, settings: S3Settings) -> None:
        self._bucket = settings.bucket
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=settings.endpoint or None,
            aws_access_key_id=settings.access_key or None,
            aws_secret_access_key=settings.secret_key or None,
            region_name=settings.region,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path" if settings.endpoint else "auto"},
                connect_timeout=3,
                read_timeout=15,
                retries={"total_max_attempts": 2, "mode": "standard"},
                max_pool_connections=32,
            ),
        )
        self._uploaders = ThreadPoolExecutor(8, thread_name_prefix="upload")

    def create_bucket(self) -> None:
        """
        Create the bucket unless it is there.

        Raises:
            StorageUnavailable: S3 does not answer, or refuses.
        """
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except ClientError as refusal:
            if refusal.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != 404:
                raise StorageUnavailable(_told(refusal)) from refusal
            try:
                self._client.create_bucket(Bucket=self._bucket)
            except self._client.exceptions.BucketAlreadyOwnedByYou:
                pass
            except _AWAY as error:
                raise StorageUnavailable(_told(error)) from error
        except _AWAY as error:
            raise StorageUnavailable(_told(error)) from error

    def put_all(self, mail_id: str, uploads: Iterable[tuple[Upload, Attachment]]) -> list[str]:
        """
        Store the octets of these attachments and return their keys, in the same order.

        A key is the mail's id and the attachment's number: put twice, it is the same object.

        Raises:
            StorageUnavailable: One could not be stored; nothing is to be told about any.
        """
        futures = [self._uploaders.submit(self._put, mail_id, *each) for each in uploads]
        try:
            return [future.result() for future in futures]
        except _AWAY as error:
            raise StorageUnavailable(_told(error)) from error

    def url_of(self, key: str, *, now: datetime) -> tuple[str, datetime]:
        """Return a URL that downloads the object, and when it ends."""
        url = self._client.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=URL_LIFE_S
        )
        return url, (now + timedelta(seconds=URL_LIFE_S)).astimezone(UTC).replace(microsecond=0)

    def _put(self, mail_id: str, upload: Upload, attachment: Attachment) -> str:
        key = f"{mail_id}/{upload.index}"
        self._client.upload_fileobj(
            io.BytesIO(upload.octets),
            self._bucket,
            key,
            ExtraArgs={
                "ContentType": "application/octet-stream",  # never rendered by a browser under our name
                "ContentDisposition": content_disposition(attachment.filename),
                "Metadata": {"sha256": attachment.sha256},
            },
            Config=_TRANSFER,
        )
        return key


def content_disposition(filename: str) -> str:
    """Return a Content-Disposition that saves the file under its name (RFC 6266, 4.3; RFC 8187)."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " ._-()") else "_" for c in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def _told(error: Exception) -> str:
    """Return what is wrong without what was sent: no key, no name."""
    if isinstance(error, ClientError):
        return f"S3 answered {error.response.get('Error', {}).get('Code', 'an error')}"
    return f"S3 is away: {type(error).__name__}"
