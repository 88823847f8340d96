"""The probes, against servers that answer, answer wrongly, hang up and stay silent."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from mailchute.settings import S3Settings
from mailchute_cli import probes

from tests.servers.s3 import s3_client


@contextmanager
def saying(said: bytes) -> Iterator[int]:
    """Serve one connection: say this, then hang up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(said)
            connection.settimeout(5)
            try:
                connection.recv(65_536)
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    listener.close()
    thread.join()


@pytest.mark.parametrize(
    ("said", "works"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nok", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"", False),
        (b"garbage\r\n", False),
        (b"220 mx.test ESMTP\r\n", False),
    ],
)
def test_an_http_server_works_when_it_says_200(said: bytes, works: bool) -> None:
    with saying(said) as port:
        assert asyncio.run(probes.answers_http(f"http://127.0.0.1:{port}/readyz")) is works


@pytest.mark.parametrize(
    ("said", "works"),
    [
        (b"220 mx.test ESMTP\r\n", True),
        (b"421 not now\r\n", False),
        (b"", False),
        (b"\xff" * 99 + b"\r\n", False),
    ],
)
def test_an_smtp_server_works_when_it_greets_with_220(said: bytes, works: bool) -> None:
    with saying(said) as port:
        assert asyncio.run(probes.greets_smtp("127.0.0.1", port)) is works


@pytest.mark.parametrize(
    "probe",
    [
        lambda port: probes.answers_http(f"http://127.0.0.1:{port}/"),
        lambda port: probes.greets_smtp("127.0.0.1", port),
        lambda port: probes.stores_s3(f"http://127.0.0.1:{port}", "b", ("k", "s"), "us-east-1"),
    ],
)
def test_where_nobody_listens_nothing_works(probe: Callable[[int], object]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert asyncio.run(probe(unused.getsockname()[1])) is False  # type: ignore[arg-type]


def test_the_signature_is_the_one_botocore_makes() -> None:
    now = dt.datetime(2026, 11, 21, 9, 0, tzinfo=dt.UTC)
    key = ("AK", "SK")
    ours = probes.presigned("http://127.0.0.1:9", "bucket", "a b/ü", key, "eu-1", method="PUT", now=now)
    request = AWSRequest("PUT", "http://127.0.0.1:9/bucket/a%20b/%C3%BC")
    request.context["timestamp"] = "20261121T090000Z"
    auth = S3SigV4QueryAuth(Credentials(*key), "s3", "eu-1", expires=60)
    auth._modify_request_before_signing(request)
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    assert ours.endswith(f"X-Amz-Signature={signature}")


def test_a_real_s3_stores_and_refuses_another_key(s3_bucket: S3Settings) -> None:
    settings = s3_bucket
    s3_client(settings).create_bucket(Bucket=settings.bucket)
    key = (settings.access_key, settings.secret_key)
    stores = probes.stores_s3(settings.endpoint, settings.bucket, key, settings.region)
    assert asyncio.run(stores)
    refused = probes.stores_s3(settings.endpoint, settings.bucket, (key[0], "wrong"), settings.region)
    assert not asyncio.run(refused)
    url = probes.presigned(settings.endpoint, settings.bucket, "probe", key, settings.region, method="GET")
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"probe"
