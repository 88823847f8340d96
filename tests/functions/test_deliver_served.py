"""deliver as a process of its own under granian, as it runs at the desk and in the image."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from mailchute import tables, wire
from mailchute.database import Database
from mailchute.delivery import AttemptOutcome
from mailchute.installation import establish
from mailchute.sealing import Keyring, Place

from tests.servers.sink import Sink, Step
from tests.unit.deliver.given import AT, SECRET, request
from tests.unit.template.test_index import ROOT, TOKEN, Served, answers_in

KEY = b"k" * 32


def add_endpoints(database: Database, urls: dict[str, str]) -> None:
    """Write endpoints by their ids, under one account and alias."""
    with database.write() as connection:
        sealer = establish(connection, Keyring((KEY,)))
        rows: list[tuple[sa.Table, dict[str, object]]] = [
            (tables.account, {"id": "acc_1", "name": "one", "retention_s": 3600}),
            (tables.domain, {"id": "dom_1", "account_id": "acc_1", "name": "inbox.test"}),
            (tables.alias, {"id": "als_1", "account_id": "acc_1", "domain_id": "dom_1", "name": "a"}),
        ]
        rows[-1][1].update(kind="exact", match="a")
        for position, (identifier, url) in enumerate(urls.items()):
            place = Place(table="endpoint", column="secret", row_id=identifier, account_id="acc_1")
            row = {"id": identifier, "account_id": "acc_1", "alias_id": "als_1", "position": position}
            row |= {"url": url, "secret": sealer.seal(SECRET, place), "secret_is_generated": False}
            rows.append((tables.endpoint, row | {"enabled_at": AT}))
        for table, columns in rows:
            connection.execute(sa.insert(table).values(created_at=AT, **columns))


@pytest.fixture
def served(migrated_sqlite: Path, tmp_path: Path, sink: Sink) -> Iterator[Served]:
    path = tmp_path / "mailchute.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    database = Database(f"sqlite:///{path}")
    add_endpoints(database, {"end_hang": sink.url("/hang"), "end_1": sink.url("/hook")})
    database.close()
    (tmp_path / "master.key").write_text(base64.b64encode(KEY).decode() + "\n")
    server = Served(
        tmp_path / "log",
        PYTHONPATH=str(ROOT),
        MAILCHUTE_FUNCTION="functions.deliver",
        MAILCHUTE_DATABASE_URL=f"sqlite:///{path}",
        MAILCHUTE_MASTER_KEY_FILE=str(tmp_path / "master.key"),
        MAILCHUTE_ALLOW_PRIVATE="127.0.0.0/8",
        MAILCHUTE_WEBHOOK_TIMEOUT="60",
    )
    yield server.wait_until_ready()
    server.end()


def owed(endpoint_id: str) -> bytes:
    return wire.encode(request(delivery={"endpoint_id": endpoint_id}))


def test_512_hanging_calls_do_not_stop_a_healthy_one(served: Served, sink: Sink) -> None:
    sink.program("/hang", Step(fault="hang"))
    body = msgspec.msgpack.encode([owed("end_hang")] * 512)
    replies: list[bytes] = []

    def hang() -> None:
        headers = {**TOKEN, "Content-Type": wire.BATCH}
        replies.append(served.call(body, path="/function/deliver", headers=headers)[2])

    thread = threading.Thread(target=hang)
    thread.start()
    sink.wait_for("/hang", 512, timeout_s=50)
    for _ in range(3):
        status, _, answer = served.call(owed("end_1"), path="/function/deliver")
        assert status == 200
        assert wire.decode(answer, AttemptOutcome).result == "delivered"
    sink.kill()
    thread.join()
    answers = answers_in(replies[0])
    assert len(answers) == 512
    assert {wire.decode(octets, AttemptOutcome).result for _, octets, _ in answers.values()} == {"failed"}


def test_a_batch_delivers_each_mail_once_over_few_connections(served: Served, sink: Sink) -> None:
    body = msgspec.msgpack.encode([owed("end_1")] * 100)
    for _ in range(2):
        headers = {**TOKEN, "Content-Type": wire.BATCH}
        answers = answers_in(served.call(body, path="/function/deliver", headers=headers)[2])
        assert [status for status, _, _ in answers.values()] == [200] * 100
    posts = sink.wait_for("/hook", 200)
    assert len(posts) == 200
    assert len({post.connection for post in posts}) < 150


def test_a_stranger_is_told_nothing(served: Served) -> None:
    assert served.call(owed("end_1"), path="/function/deliver", headers={})[0] == 404
