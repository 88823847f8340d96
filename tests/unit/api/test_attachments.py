"""Attachments of an erased mail are deleted from a real S3."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mailchute.bucket import Bucket
from mailchute.settings import S3Settings

from functions.api.attachments import S3Attachments
from functions.api.problem import Problem
from tests.servers.s3 import s3_client


def nowhere(_connection_id: str) -> None:
    """No account has a bucket of its own."""


def test_what_is_erased_is_gone_and_the_rest_stays(s3_bucket: S3Settings) -> None:
    client = s3_client(s3_bucket)
    client.create_bucket(Bucket=s3_bucket.bucket)
    for key in ("a/1", "a/2", "b/1"):
        client.put_object(Bucket=s3_bucket.bucket, Key=key, Body=b"x")
    attachments = S3Attachments(s3_bucket, Bucket)
    for _ in range(2):
        attachments.delete(("a/1", "a/2"), nowhere)
    found = client.list_objects_v2(Bucket=s3_bucket.bucket).get("Contents", ())
    assert [one["Key"] for one in found] == ["b/1"]


def test_storage_that_is_away_or_not_configured_is_not_now(s3: S3Settings) -> None:
    for settings in (replace(s3, endpoint="http://127.0.0.1:1", bucket="b"), replace(s3, bucket="")):
        attachments = S3Attachments(settings, Bucket)
        attachments.delete((), nowhere)
        with pytest.raises(Problem) as refused:
            attachments.delete(("a/1",), nowhere)
        assert refused.value.details.status == 503


def test_what_lies_in_an_accounts_own_bucket_is_deleted_there(s3_bucket: S3Settings) -> None:
    own = replace(s3_bucket, bucket=f"{s3_bucket.bucket}-own")
    client = s3_client(s3_bucket)
    for bucket in (s3_bucket.bucket, own.bucket):
        client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key="msg_1/0", Body=b"x")
    attachments = S3Attachments(s3_bucket, Bucket)
    attachments.delete(("sto_1/msg_1/0", "sto_gone/msg_1/1"), {"sto_1": own}.get)
    assert "Contents" not in client.list_objects_v2(Bucket=own.bucket)
    assert "Contents" in client.list_objects_v2(Bucket=s3_bucket.bucket)
