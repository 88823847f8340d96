"""A bucket on a real S3, and where one that an account names may lead."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
import urllib3
from mailchute.bucket import NOT_PUBLIC, Bucket
from mailchute.errors import StorageUnavailable
from mailchute.settings import S3Settings
from mailchute.stored_key import by_connection, key_in, parted

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def test_objects_are_put_read_handed_out_and_deleted(s3_bucket: S3Settings) -> None:
    bucket = Bucket(s3_bucket)
    for _ in range(2):
        bucket.create()
        bucket.put("msg_1/0", b"octets", ContentType="application/octet-stream")
    assert bucket.read("msg_1/0") == b"octets"
    assert (bucket.has("msg_1/0"), bucket.has("msg_1/1")) == (True, False)
    answer = urllib3.request("GET", bucket.url_of("msg_1/0", 60), retries=False)
    assert (answer.status, answer.data) == (200, b"octets")
    for _ in range(2):
        assert bucket.delete(["msg_1/0", "msg_1/9"]) == frozenset()
    with pytest.raises(StorageUnavailable, match="NoSuchKey"):
        bucket.read("msg_1/0")


def test_a_probe_says_what_does_not_work_and_leaves_nothing(s3_bucket: S3Settings) -> None:
    bucket = Bucket(s3_bucket, allowed=LOOPBACK)
    bucket.create()
    bucket.probe()
    for settings in (
        replace(s3_bucket, secret_key="another"),
        replace(s3_bucket, access_key="another"),
        replace(s3_bucket, endpoint="http://127.0.0.1:1"),
    ):
        with pytest.raises(StorageUnavailable) as refused:
            Bucket(settings, allowed=LOOPBACK).probe()
        assert s3_bucket.secret_key not in str(refused.value)
        assert s3_bucket.access_key not in str(refused.value)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "0.0.0.0", "2130706433"]
)
def test_an_account_leads_us_to_no_private_address(s3: S3Settings, host: str) -> None:
    port = s3.endpoint.rpartition(":")[2]
    bucket = Bucket(replace(s3, endpoint=f"http://{host}:{port}"), allowed=())
    with pytest.raises(StorageUnavailable, match=NOT_PUBLIC):
        bucket.probe()
    assert bucket.delete(["x"]) == {"x"}


def test_a_proxy_of_the_environment_does_not_lead_around_the_guard(
    s3: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", s3.endpoint)
    bucket = Bucket(replace(s3, endpoint="http://10.1.2.3:9"), allowed=())
    with pytest.raises(StorageUnavailable, match=NOT_PUBLIC):
        bucket.probe()


def test_the_log_names_an_object_by_the_bucket_it_lies_in() -> None:
    assert key_in(None, "msg_1/0") == "msg_1/0"
    assert key_in("sto_1", "msg_1/0") == "sto_1/msg_1/0"
    for key in ("msg_1/0", "sto_1/msg_1/0"):
        assert key_in(*parted(key)) == key
    assert by_connection(["msg_1/0", "sto_1/msg_1/1", "msg_1/2"]) == {
        None: ["msg_1/0", "msg_1/2"], "sto_1": ["msg_1/1"],
    }  # fmt: skip
