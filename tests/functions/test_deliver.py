"""deliver, called as the connector calls it, with the directory, the DNS and a receiver all real."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from mailchute import wire
from mailchute.database import Database
from mailchute.delivery import AttemptOutcome
from mailchute.errors import BadSetting
from mailchute.function import Answer, Call

from functions.deliver import handler
from tests.functions.test_deliver_served import KEY, add_endpoints
from tests.servers.dns import DnsServer
from tests.servers.sink import Sink
from tests.unit.deliver.given import SECRET, request


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def environ(database_url: str, tmp_path: Path, dns: DnsServer) -> dict[str, str]:
    (tmp_path / "master.key").write_text(base64.b64encode(KEY).decode() + "\n")
    return {
        "MAILCHUTE_DATABASE_URL": database_url,
        "MAILCHUTE_MASTER_KEY_FILE": str(tmp_path / "master.key"),
        "MAILCHUTE_DNS": dns.address,
        "MAILCHUTE_ALLOW_PRIVATE": "127.0.0.0/8",
    }


def called() -> Answer:
    return handler.handle(Call(body=wire.encode(request())))


def test_a_mail_goes_to_the_name_its_endpoint_has(
    database: Database, environ: dict[str, str], dns: DnsServer, sink: Sink
) -> None:
    dns.zone["hooks.test"] = {"A": ["127.0.0.1"]}
    add_endpoints(database, {"end_1": sink.url("/hook", host="hooks.test")})
    handler.start(environ)
    answer = called()
    assert answer.status == 200
    assert wire.decode(answer.body, AttemptOutcome).result == "delivered"
    [post] = sink.wait_for("/hook")
    post.verify(SECRET)
    assert post.header("Host") == f"hooks.test:{sink.port}"


def test_an_endpoint_that_fails_is_a_value_of_a_200(
    database: Database, environ: dict[str, str], sink: Sink
) -> None:
    sink.program("/hook", 500)
    add_endpoints(database, {"end_1": sink.url("/hook")})
    handler.start(environ)
    answer = called()
    assert answer.status == 200
    assert wire.decode(answer.body, AttemptOutcome).result == "failed"


def test_an_endpoint_nobody_knows_is_refused(database: Database, environ: dict[str, str]) -> None:
    add_endpoints(database, {})
    handler.start(environ)
    assert wire.decode(called().body, AttemptOutcome).result == "refused"


def test_a_database_that_is_away_is_a_503(database: Database, environ: dict[str, str]) -> None:
    with database.write() as connection:
        connection.execute(sa.text("ALTER TABLE endpoint RENAME TO endpoint_away"))
    handler.start(environ)
    answer = called()
    assert answer.status == 503
    assert answer.retry_after_s


def test_garbage_is_a_422(database: Database, environ: dict[str, str]) -> None:
    handler.start(environ)
    assert handler.handle(Call(body=b"\xc1garbage")).status == 422


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAILCHUTE_MASTER_KEY_FILE", ""),
        ("MAILCHUTE_MASTER_KEY_FILE", "/nowhere"),
        ("MAILCHUTE_WEBHOOK_PORTS", "443,http"),
        ("MAILCHUTE_WEBHOOK_PORTS", "70000"),
        ("MAILCHUTE_WEBHOOK_TIMEOUT", "0"),
        ("MAILCHUTE_ALLOW_PRIVATE", "localhost"),
        ("MAILCHUTE_SIGNING_KEY", "no key"),
        ("MAILCHUTE_WEBHOOK_CA_FILE", "/nowhere"),
    ],
)
def test_a_setting_that_cannot_be_used_stops_the_start(name: str, value: str, tmp_path: Path) -> None:
    (tmp_path / "master.key").write_text(base64.b64encode(KEY).decode() + "\n")
    environ = {
        "MAILCHUTE_DATABASE_URL": f"sqlite:///{tmp_path}/none.db",
        "MAILCHUTE_MASTER_KEY_FILE": str(tmp_path / "master.key"),
    }
    with pytest.raises(BadSetting, match="(?i)master.key" if "MASTER" in name else name):
        handler.start(environ | {name: value})
