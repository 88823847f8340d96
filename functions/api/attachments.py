"""Attachments on S3, as far as the API touches them: they go when their mail is erased."""

from __future__ import annotations

from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from mailchute.settings import S3Settings

from .problem import Problem

AT_ONCE = 1_000  # DeleteObjects takes no more


class Attachments(Protocol):
    """Where attachments lie."""

    def delete(self, keys: tuple[str, ...]) -> None:
        """
        Raises:
            Problem: 503, some may still be there: ask again.
        """


class S3Attachments:
    """The installation's bucket."""

    def __init__(self, settings: S3Settings) -> None:
        self._bucket = settings.bucket
        self._client: Any = settings.bucket and boto3.client(
            "s3",
            endpoint_url=settings.endpoint or None,
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key,
            region_name=settings.region,
            config=Config(s3={"addressing_style": "path"}, connect_timeout=3, read_timeout=15),
        )

    def delete(self, keys: tuple[str, ...]) -> None:
        if not keys:
            return
        if not self._client:
            raise Problem(503, "the mail has attachments on S3, and no S3 is configured here")
        try:
            for begin in range(0, len(keys), AT_ONCE):
                objects = [{"Key": key} for key in keys[begin : begin + AT_ONCE]]
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True}
                )
                if answer.get("Errors"):
                    raise Problem(503, "some attachments could not be deleted: try again", retry_after_s=2)
        except (BotoCoreError, ClientError):
            raise Problem(
                503, "the attachments' storage does not answer: try again", retry_after_s=2
            ) from None
