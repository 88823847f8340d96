"""Orders from the command line, before a connector's door that answers as each test says."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import click.testing
import msgspec
import pytest
from mailchute import wire
from mailchute.commands import Command, CommandDone
from mailchute.database import Database, migrate
from mailchute.delivery import AttemptOutcome
from mailchute.errors import BadSetting, TransientError
from mailchute.store import audit
from mailchute.store.accounts import ensure_account
from mailchute_cli.endpoints import endpoints
from mailchute_cli.home import Home
from mailchute_cli.orders import kick, replay
from mailchute_cli.routes import routes

from functions.record.ledger import record
from tests.unit.record.test_fold import BEGIN, told

RUN = "run_01KAJ000000000000000000000"
ROUTES = "version: 1\ndomains: {a.test: {one: {endpoints: [{url: https://a.example, verify: true}]}}}\n"


@dataclass
class Installation:
    """A data directory with a database, and a connector's door that remembers what it was asked."""

    home: Home
    orders: list[Command] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    statuses: dict[str, int] = field(default_factory=dict)  # by mail; default: 200
    outcome: AttemptOutcome | None = None

    def run(self, command: click.Command, *arguments: str, status: int = 0) -> str:
        runner = click.testing.CliRunner(
            env={"MAILCHUTE_DATABASE_URL": None, "MAILCHUTE_MASTER_KEY_FILE": None}
        )
        given = [*arguments, "--data", str(self.home.directory)]
        result = runner.invoke(command, given, catch_exceptions=False)
        assert result.exit_code == status, result.output
        return result.output

    def dead(self, *mails: str) -> None:
        database = Database(self.home.database_url)
        with database.write() as connection:
            account_id = ensure_account(connection, now=BEGIN)
        events = [
            event
            for number, mail in enumerate(mails)
            for event in (
                told("accepted", number, mail=mail, mail_sequence=number + 1, retention_s=60),
                told("parsed", number, mail=mail, endpoint_ids=("end_1",)),
                told("dead", number, mail=mail, endpoint_id="end_1", stage="deliver", reason="exhausted"),
            )
        ]
        # Ended before any run of the test begins, wherever the clock stands.
        moved = [
            msgspec.structs.replace(each, account_id=account_id, at=each.at - timedelta(days=365))
            for each in events
        ]
        record(database, moved)
        database.close()

    def actions(self) -> list[str]:
        database = Database(self.home.database_url)
        with database.read() as connection:
            account_id = ensure_account(connection, now=BEGIN)
            found = [one.action for one in reversed(audit.list_entries(connection, account_id))]
        database.close()
        return found

    def endpoint(self, tmp_path: Path) -> str:
        file = tmp_path / "routes.yml"
        file.write_text(ROUTES)
        made: list[dict[str, Any]] = json.loads(self.run(routes, "apply", str(file), "--json"))["changes"]
        return str(made[-1]["id"])


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    home = Home(tmp_path / "data")
    migrate(home.database_url)
    installation = Installation(home)

    class Door(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            order = wire.decode_json(self.rfile.read(int(self.headers["Content-Length"])), Command)
            installation.orders.append(order)
            installation.authorizations.add(self.headers["Authorization"])
            status = installation.statuses.get(order.mail_id or "", 200)
            done = CommandDone(id=order.id, outcome=installation.outcome)
            answer = wire.encode_json(done) if status == 200 else b'{"error": "as told"}'
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door) as door:
        (home.directory / "ports.json").write_text(json.dumps({"connector": door.server_port}))
        threading.Thread(target=door.serve_forever, args=(0.01,), daemon=True).start()
        yield installation
        door.shutdown()


def test_an_order_without_a_connector_says_what_to_do(installation: Installation) -> None:
    installation.dead("msg_1")
    (installation.home.directory / "ports.json").write_text('{"connector": 1}')
    with pytest.raises(TransientError, match="is `mailchute up` running"):
        installation.run(replay, "msg_1")
    (installation.home.directory / "ports.json").unlink()
    with pytest.raises(BadSetting, match="there is no installation in"):
        installation.run(replay, "msg_1")


def test_one_mail_is_replayed_and_the_trail_says_so(installation: Installation) -> None:
    with pytest.raises(BadSetting, match="is no mail of this installation"):
        installation.run(replay, "msg_1")
    installation.dead("msg_1")
    assert "goes out again" in installation.run(replay, "msg_1", "--endpoint", "end_1")
    [order] = installation.orders
    assert (order.kind, order.mail_id, order.endpoint_id) == ("replay", "msg_1", "end_1")
    token = installation.home.secret("internal-token").read_text().strip()
    assert installation.authorizations == {f"Bearer {token}"}
    assert installation.actions() == ["email.replay"]


def test_everything_dead_goes_out_again_once_in_one_run(installation: Installation) -> None:
    installation.dead("msg_1", "msg_2", "msg_3")
    looked = installation.run(replay, "--dead", "--dry-run")
    assert looked.startswith("3 mails would go out again, the first of them:")
    assert "msg_2" in looked
    assert installation.orders == []
    installation.statuses["msg_2"] = 404
    said = installation.run(replay, "--dead", "--rate", "1000", "--run", RUN)
    assert said == f"3 of 3 mails went out again, as run {RUN}; 1 were gone\n"
    assert {one.run for one in installation.orders} == {RUN}
    shown = json.loads(installation.run(replay, "--run", RUN, "--json"))["replay"]
    assert (shown["doneCount"], shown["refusedCount"]) == (3, 1)
    assert len(installation.orders) == 3
    assert installation.actions() == ["replay.begin"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a mail, or choose"),
        (("msg_1", "--dead"), "not both"),
        (("--run", RUN), "no such run"),
        (("--run", "0", "--dead"), "no run's id"),
        (("--alias", "x@a.test"), "no such alias"),
        (("--endpoint", "end_none"), "no such endpoint"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    installation: Installation, arguments: tuple[str, ...], said: str
) -> None:
    installation.dead("msg_1")
    with pytest.raises(BadSetting, match=said):
        installation.run(replay, *arguments)
    assert installation.orders == []


def test_a_time_is_read_as_people_write_it(installation: Installation) -> None:
    installation.dead("msg_01K0000000000000000000000A")
    assert "0 mails would go" in installation.run(replay, "--from", "2026-11-20", "--dry-run")
    assert "is no time" in installation.run(replay, "--from", "yesterday", "--dry-run", status=2)


def outcome(result: Any, status: int | None, response: bytes = b"", reason: str = "") -> AttemptOutcome:
    return AttemptOutcome(
        result=result, status=status, reason=reason, started_at=BEGIN, duration_s=0.25, response=response
    )


def test_an_endpoint_is_tested_by_id_or_url_and_its_answer_shown(
    installation: Installation, tmp_path: Path
) -> None:
    endpoint = installation.endpoint(tmp_path)
    installation.outcome = outcome("delivered", 202, b"thanks\x1b[31m")
    for name in (endpoint, "https://a.example"):
        said = installation.run(endpoints, "test", name)
        assert said.startswith("delivered: HTTP 202 after 0.250 s\n")
        assert "thanks\ufffd[31m" in said
    assert installation.orders[0].mail is not None
    installation.outcome = outcome("failed", None, reason="a.example cannot be reached")
    assert "cannot be reached" in installation.run(endpoints, "test", endpoint, status=1)
    shown = json.loads(installation.run(endpoints, "test", endpoint, "--json", status=1))
    assert shown["outcome"]["result"] == "failed"
    for name in ("end_none", "https://b.example"):
        with pytest.raises(BadSetting, match=r"no such endpoint|no endpoint has this URL"):
            installation.run(endpoints, "test", name)


def test_an_endpoint_is_verified_by_its_echo_and_then_gets_what_waited(
    installation: Installation, tmp_path: Path
) -> None:
    endpoint = installation.endpoint(tmp_path)
    assert "not verified" in installation.run(endpoints, "list")
    installation.outcome = outcome("failed", 200, reason="the answer does not hold the challenge")
    assert "does not hold" in installation.run(endpoints, "verify", endpoint, status=1)
    assert "not verified" in installation.run(endpoints, "list")
    installation.outcome = outcome("delivered", 200)
    installation.run(endpoints, "verify", endpoint)
    assert "not verified" not in installation.run(endpoints, "list")
    assert [one.kind for one in installation.orders] == ["challenge", "challenge", "kick"]


def test_a_kick_is_for_an_endpoint_that_is_there(installation: Installation, tmp_path: Path) -> None:
    endpoint = installation.endpoint(tmp_path)
    assert f"{endpoint} is tried now" in installation.run(kick, endpoint)
    with pytest.raises(BadSetting, match="no such endpoint"):
        installation.run(kick, "end_none")
    assert [one.endpoint_id for one in installation.orders] == [endpoint]
    assert installation.actions()[-1] == "endpoint.kick"
