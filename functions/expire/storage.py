"""Attachments on S3, as far as expire touches them: they go."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from mailchute.settings import S3Settings

AT_ONCE = 1_000  # DeleteObjects takes no more


class S3Storage:
    """The installation's bucket."""

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings

    def delete(self, keys: Sequence[str]) -> frozenset[str]:
        """Delete these objects, gone already or not; return those that could not be deleted now."""
        if not self._settings.bucket:
            return frozenset(keys)
        left: set[str] = set()
        for begin in range(0, len(keys), AT_ONCE):
            left |= self._delete(keys[begin : begin + AT_ONCE])
        return frozenset(left)

    def _delete(self, keys: Sequence[str]) -> set[str]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as in _client

        wanted = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
        try:
            answer = self._client.delete_objects(Bucket=self._settings.bucket, Delete=wanted)
        except (BotoCoreError, ClientError):
            return set(keys)
        return {error["Key"] for error in answer.get("Errors", ()) if error.get("Code") != "NoSuchKey"}

    @cached_property
    def _client(self) -> Any:
        # Half a second of imports: a start waits for us, and most mail has nothing on S3.
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        settings = self._settings
        return boto3.client(
            "s3",
            endpoint_url=settings.endpoint or None,
            aws_access_key_id=settings.access_key or None,
            aws_secret_access_key=settings.secret_key or None,
            region_name=settings.region,
            config=Config(
                s3={"addressing_style": "path" if settings.endpoint else "auto"},
                connect_timeout=3,
                read_timeout=15,
                retries={"total_max_attempts": 1},
            ),
        )
