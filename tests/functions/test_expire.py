"""expire, called as the connector calls it, with a real S3, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from mailchute import tables, wire
from mailchute.database import Database
from mailchute.errors import BadSetting
from mailchute.expiring import DueMail, ExpireAnswer, ExpireRequest
from mailchute.function import Call
from mailchute.journal import Event
from mailchute.settings import S3Settings

from functions.expire import handler
from functions.expire.storage import S3Storage
from functions.record.ledger import record
from tests.servers.s3 import s3_client
from tests.unit.record.test_fold import told


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


def environ(database: Database, s3: S3Settings) -> dict[str, str]:
    return {
        "MAILCHUTE_DATABASE_URL": database.url.render_as_string(hide_password=False),
        "MAILCHUTE_S3_ENDPOINT": s3.endpoint,
        "MAILCHUTE_S3_BUCKET": s3.bucket,
        "MAILCHUTE_S3_ACCESS_KEY": s3.access_key,
        "MAILCHUTE_S3_SECRET_KEY": s3.secret_key,
    }


def asked(request: ExpireRequest) -> ExpireAnswer:
    answer = handler.handle(Call(body=wire.encode(request)))
    assert answer.status == 200, answer.body
    return wire.decode(answer.body, ExpireAnswer)


def ended(mail: str, *keys: str, retention_s: int) -> list[Event]:
    now = datetime.now(UTC)
    begin = told("accepted").at
    return [
        told(kind, (now - begin).total_seconds() - 60, mail=mail, **fields)
        for kind, fields in (
            ("accepted", {"mail_sequence": 7, "retention_s": retention_s}),
            ("parsed", {"endpoint_ids": ("end_1",), "objects": keys}),
            ("delivered", {"endpoint_id": "end_1"}),
        )
    ]


def test_what_is_due_and_erased_is_gone_from_s3_and_the_database(
    database: Database, s3_bucket: S3Settings
) -> None:
    client = s3_client(s3_bucket)
    client.create_bucket(Bucket=s3_bucket.bucket)
    for key in ("msg_1/0", "msg_1/1", "msg_2/0"):
        client.put_object(Bucket=s3_bucket.bucket, Key=key, Body=b"x")
    record(database, ended("msg_1", "msg_1/0", "msg_1/1", "msg_1/never-there", retention_s=30))
    record(database, ended("msg_2", "msg_2/0", retention_s=3_600))
    handler.start(environ(database, s3_bucket))

    first = asked(ExpireRequest())
    assert [(each.mail_id, each.mail_sequence, each.has_dead_records) for each in first.due] == [
        ("msg_1", 7, False)
    ]
    assert 29 < first.oldest_due_s < 90

    away = replace(s3_bucket, endpoint="http://127.0.0.1:1")
    handler.start(environ(database, away))
    told_so = ExpireRequest(erased=("msg_1", "msg_2"))
    assert asked(told_so).deleted_count == 0
    assert asked(ExpireRequest(after=first.due[-1])).due == ()
    assert len(asked(ExpireRequest()).due) == 1

    handler.start(environ(database, s3_bucket))
    done = asked(told_so)
    assert (done.deleted_count, done.due, done.oldest_due_s) == (1, (), 0.0)
    assert asked(told_so).deleted_count == 0
    found = client.list_objects_v2(Bucket=s3_bucket.bucket)["Contents"]
    assert [each["Key"] for each in found] == ["msg_2/0"]
    with database.read() as connection:
        for table, column in (
            (tables.email, "id"), (tables.delivery, "mail_id"), (tables.event, "mail_id"),
        ):  # fmt: skip
            assert set(connection.scalars(sa.select(table.c[column]))) == {"msg_2"}


def test_attachments_without_a_storage_configured_stay_and_are_told(s3: S3Settings) -> None:
    storage = S3Storage(replace(s3, bucket=""))
    assert storage.delete(["k"]) == {"k"}
    assert storage.delete([]) == frozenset()


def test_what_is_no_request_is_refused_and_a_database_that_is_away_is_not_now(
    database: Database, s3: S3Settings
) -> None:
    handler.start(environ(database, s3))
    assert handler.handle(Call(body=b"\xc1")).status == 422
    with database.write() as connection:
        connection.execute(sa.text("ALTER TABLE email RENAME TO elsewhere"))
    assert handler.handle(Call(body=wire.encode(ExpireRequest()))).status == 503


def test_a_database_that_is_not_migrated_stops_the_start(empty_database_url: str) -> None:
    with pytest.raises(BadSetting, match="mailchute migrate"):
        handler.start({"MAILCHUTE_DATABASE_URL": empty_database_url})


def test_a_cursor_beyond_the_last_is_an_empty_page(database: Database, s3: S3Settings) -> None:
    record(database, ended("msg_1", retention_s=30))
    handler.start(environ(database, s3))
    last = DueMail(
        mail_id="msg_9",
        mail_sequence=1,
        expires_at=datetime.now(UTC) + timedelta(days=1),
        has_dead_records=False,
    )
    assert asked(ExpireRequest(after=last)).due == ()
