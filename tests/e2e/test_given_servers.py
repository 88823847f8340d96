"""Servers that are given are used, and none of our own is started: PostgreSQL, NATS and S3 of others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from urllib.request import urlopen

import psycopg
import pytest
from mailchute.settings import S3Settings

from tests.e2e.system import SECRET, System
from tests.servers.databases import PostgresqlServer
from tests.servers.nats import NatsServer
from tests.servers.sink import Sink


@pytest.fixture
def empty_postgresql(postgresql_server: PostgresqlServer) -> Iterator[str]:
    name = postgresql_server.create()
    yield postgresql_server.url_of(name)
    postgresql_server.drop(name)


def test_with_postgresql_nats_and_s3_given_the_main_job_is_the_same(
    new_system: Callable[..., System],
    sink: Sink,
    empty_postgresql: str,
    nats_server: NatsServer,
    s3_bucket: S3Settings,
    tmp_path: Path,
) -> None:
    secret = tmp_path / "s3-secret"
    secret.write_text(s3_bucket.secret_key)
    system = new_system(
        MAILCHUTE_DATABASE_URL=empty_postgresql,
        MAILCHUTE_NATS_URL=nats_server.url,
        MAILCHUTE_NATS_MONITOR_URL=nats_server.monitor_url,
        MAILCHUTE_STREAMS_MAX_OCTETS=str(1024**3),
        MAILCHUTE_S3_ENDPOINT=s3_bucket.endpoint,
        MAILCHUTE_S3_BUCKET=s3_bucket.bucket,
        MAILCHUTE_S3_ACCESS_KEY=s3_bucket.access_key,
        MAILCHUTE_S3_SECRET_KEY_FILE=str(secret),
        MAILCHUTE_MARKDOWN="markdownify",
    ).start()
    assert system.pids("nats") == system.pids("s3") == []

    octets = os.urandom(400_000)
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "ada@example.org", "given"
    mail.set_content("Hello.\n")
    mail.add_alternative("<ul><li>one</li></ul>", subtype="html")
    mail.add_attachment(octets, maintype="application", subtype="zip", filename="big.zip")
    _, reply = system.send(mail.as_bytes(policy=SMTP), "support@inbox.test")
    assert reply[0] == 250
    [post] = sink.wait_for("/support", timeout_s=60)
    post.verify(SECRET)
    assert post.json["message"]["content"]["markdown"] == "* one"  # html-to-markdown writes "- one"
    [attachment] = post.json["message"]["attachments"]
    with urlopen(attachment["url"], timeout=20) as answer:
        assert answer.read() == octets

    System.until(lambda: _states(empty_postgresql) == [("delivered",)])
    assert not (system.data / "mailchute.db").exists()
    assert system.stop() == 0


def _states(url: str) -> list[tuple[str, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute("select state from email").fetchall()
