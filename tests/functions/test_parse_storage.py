"""Large attachments go to the bucket of the mail's own account, and nowhere else."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
import urllib3
from mailchute.database import Database, migrate
from mailchute.downloads import key_of
from mailchute.errors import StorageUnavailable
from mailchute.installation import establish
from mailchute.payload import Attachment
from mailchute.sealing import Keyring
from mailchute.settings import Reader, S3Settings
from mailchute.store.accounts import ensure_account
from mailchute.store.connections import create_connection
from mailchute.tables import storage_connection

from functions.parse.draft import Upload
from functions.parse.settings import Settings
from functions.parse.storage import Storage
from tests.servers.s3 import s3_client

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = b"k" * 32
FILE = Attachment(
    filename="päper.pdf", content_type="application/pdf", detected_type=None, size=3, sha256="0" * 64,
    content_id=None, disposition="attachment", status="completed",
)  # fmt: skip
UPLOADS = [(Upload(2, b"abc"), FILE)]


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Database]:
    (tmp_path / "key").write_bytes(base64.b64encode(KEY))
    url = f"sqlite:///{tmp_path / 'a.db'}"
    migrate(url)
    database = Database(url)
    yield database
    database.close()


def settings_of(installation: Database, ours: S3Settings, **more: str) -> Settings:
    folder = Path(installation.url.database or "").parent
    return Settings.read(
        Reader(
            {
                "MAILCHUTE_S3_ENDPOINT": ours.endpoint, "MAILCHUTE_S3_BUCKET": ours.bucket,
                "MAILCHUTE_S3_ACCESS_KEY": ours.access_key, "MAILCHUTE_S3_SECRET_KEY": ours.secret_key,
                "MAILCHUTE_DATABASE_URL": str(installation.url), "MAILCHUTE_ALLOW_PRIVATE": "127.0.0.0/8",
                "MAILCHUTE_MASTER_KEY_FILE": str(folder / "key"), **more,
            }
        )
    )  # fmt: skip


def own_bucket(installation: Database, own: S3Settings) -> str:
    with installation.write() as connection:
        return create_connection(
            connection, account_id=ensure_account(connection, now=NOW),
            columns={
                "name": "own", "endpoint": own.endpoint, "bucket": own.bucket, "region": own.region,
                "access_key": own.access_key, "secret_key": own.secret_key,
            },
            sealer=establish(connection, Keyring((KEY,))), now=NOW,
        )  # fmt: skip


def test_an_accounts_attachments_go_to_its_own_bucket(installation: Database, s3_bucket: S3Settings) -> None:
    own = replace(s3_bucket, bucket=f"{s3_bucket.bucket}-own")
    client = s3_client(s3_bucket)
    client.create_bucket(Bucket=own.bucket)
    storage = Storage(settings_of(installation, s3_bucket))
    storage.create_bucket()
    connection_id = own_bucket(installation, own)
    for _ in range(2):
        assert storage.put_all("msg_1", UPLOADS, connection_id) == [f"{connection_id}/msg_1/2"]
    assert storage.put_all("msg_2", UPLOADS) == ["msg_2/2"]
    kept = [
        [each["Key"] for each in client.list_objects_v2(Bucket=name).get("Contents", ())]
        for name in (own.bucket, s3_bucket.bucket)
    ]
    assert kept == [["msg_1/2"], ["msg_2/2"]]
    url, _ = storage.url_of(f"{connection_id}/msg_1/2", now=NOW)
    answer = urllib3.request("GET", url, retries=False)
    assert (answer.status, answer.data) == (200, b"abc")
    assert "p%C3%A4per.pdf" in answer.headers["Content-Disposition"]


def test_a_bucket_that_was_taken_away_is_no_reason_to_put_mail_elsewhere(
    installation: Database, s3_bucket: S3Settings
) -> None:
    connection_id = own_bucket(installation, s3_bucket)
    with installation.write() as connection:
        connection.execute(sa.update(storage_connection).values(deleted_at=NOW))
    assert Storage(settings_of(installation, s3_bucket)).put_all("msg_1", UPLOADS, connection_id) is None


def test_a_bucket_that_does_not_answer_or_is_not_public_keeps_the_mail_waiting(
    installation: Database, s3_bucket: S3Settings
) -> None:
    away = own_bucket(installation, replace(s3_bucket, endpoint="http://127.0.0.1:1"))
    inside = own_bucket(installation, replace(s3_bucket, endpoint="http://10.255.255.1:1"))
    storage = Storage(settings_of(installation, s3_bucket))
    for connection_id in (away, inside):
        with pytest.raises(StorageUnavailable) as refused:
            storage.put_all("msg_1", UPLOADS, connection_id)
        assert s3_bucket.secret_key not in str(refused.value)


def test_without_the_master_key_an_own_bucket_cannot_be_opened_and_the_setting_is_named(
    installation: Database, s3_bucket: S3Settings
) -> None:
    connection_id = own_bucket(installation, s3_bucket)
    storage = Storage(settings_of(installation, s3_bucket, MAILCHUTE_MASTER_KEY_FILE=""))
    with pytest.raises(StorageUnavailable, match="MAILCHUTE_MASTER_KEY_FILE"):
        storage.put_all("msg_1", UPLOADS, connection_id)


def test_a_link_that_has_to_live_longer_than_s3_signs_is_ours(
    installation: Database, s3_bucket: S3Settings
) -> None:
    settings = settings_of(installation, s3_bucket, MAILCHUTE_PUBLIC_URL="https://mail.example/")
    storage = Storage(settings)
    short, ends_at = storage.url_of("msg_1/2", now=NOW, retention_s=7 * 86_400)
    assert short.startswith(s3_bucket.endpoint)
    assert (ends_at - NOW).days == 7
    url, ends_at = storage.url_of("msg_1/2", now=NOW, retention_s=30 * 86_400)
    assert (ends_at - NOW).days == 30
    base, _, token = url.rpartition("/")
    assert base == "https://mail.example/d"
    assert key_of(Keyring((KEY,)), token, NOW) == "msg_1/2"
    nowhere = Storage(replace(settings, public_url=""))
    assert nowhere.url_of("msg_1/2", now=NOW, retention_s=30 * 86_400)[0].startswith(s3_bucket.endpoint)
