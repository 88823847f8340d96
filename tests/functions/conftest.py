"""The REST API over WSGI, as a program of one account calls it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mailchute.bucket import Bucket
from mailchute.commands import Command, CommandDone
from mailchute.database import Database
from mailchute.delivery import AttemptOutcome
from mailchute.errors import StorageUnavailable
from mailchute.sealing import Keyring
from mailchute.settings import S3Settings
from mailchute.store import keys
from mailchute.store.accounts import ensure_account
from werkzeug.test import Client, TestResponse

from functions.api.attachments import Opened
from functions.api.operation import Services
from functions.api.pages import application
from functions.api.problem import Problem
from functions.record.ledger import record
from tests.unit.record.test_fold import BEGIN

SIGNING_KEY = Ed25519PrivateKey.generate()
LISTEN_URL = "http://api.test/listen"


@dataclass
class FakeConnector:
    """Remembers what it was told; breaks when told to."""

    told: list[Command] = field(default_factory=list)
    problem: Problem | None = None
    outcome: AttemptOutcome | None = None  # of tests and challenges

    def carry_out(self, command: Command) -> CommandDone:
        if self.problem is not None:
            raise self.problem
        repeated = command.id in [one.id for one in self.told]
        self.told.append(command)
        return CommandDone(id=command.id, repeated=repeated, outcome=self.outcome)


@dataclass
class FakeAttachments:
    deleted: list[str] = field(default_factory=list)

    def delete(self, keys: tuple[str, ...], _opened: Opened) -> None:
        self.deleted += keys

    def url_of(self, key: str, _opened: Opened, life_s: int) -> str | None:
        return None if key in self.deleted else f"https://s3.example/{key}?X-Amz-Expires={life_s}"


@dataclass
class FakeBucket(Bucket):
    """Works, unless its secret key is "wrong"."""

    settings: S3Settings

    def probe(self) -> None:
        if self.settings.secret_key == "wrong":
            raise StorageUnavailable("cannot write an object: S3 answered SignatureDoesNotMatch")


@dataclass
class Api:
    """The API as one account's program calls it."""

    database: Database
    connector: FakeConnector
    attachments: FakeAttachments
    client: Client
    account_id: str
    key: str
    services: Services
    now: datetime = BEGIN

    def __call__(self, method: str, path: str, *, status: int = 200, **options: Any) -> Any:
        answer = self.raw(method, path, **options)
        assert answer.status_code == status, answer.text
        kind = "application/problem+json" if status >= 400 else "application/json"
        assert answer.content_type == kind
        return msgspec.json.decode(answer.data) if answer.data else None

    def raw(self, method: str, path: str, **options: Any) -> TestResponse:
        headers = {"X-API-KEY": self.key} | options.pop("headers", {})
        return self.client.open(f"/api/v1{path}", method=method, headers=headers, **options)

    def with_key(self, account: str, *scopes: str) -> Api:
        with self.database.write() as connection:
            account_id = ensure_account(connection, now=BEGIN, name=account)
            _, text = keys.create(
                connection, account_id=account_id, name="k", now=BEGIN, scopes=scopes or keys.SCOPES
            )
        return replace(self, account_id=account_id, key=text)

    def record(self, *events: Any) -> None:
        record(
            self.database, [msgspec.structs.replace(event, account_id=self.account_id) for event in events]
        )


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    database, connector, attachments = Database(database_url), FakeConnector(), FakeAttachments()
    services = Services(
        database=database, keyring=Keyring((b"k" * 32,)), connector=connector, attachments=attachments,
        now=lambda: BEGIN, signing_keys=(SIGNING_KEY,), buckets=FakeBucket, listen_url=LISTEN_URL,
    )  # fmt: skip
    client = Client(application(services))
    yield Api(database, connector, attachments, client, "", "", services).with_key("default")
    database.close()


@pytest.fixture
def stranger(api: Api) -> Api:
    return api.with_key("another")
