"""The commands that read and write an installation's tables, run as a person runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click
import click.testing
import msgspec
import pytest
from mailchute.classifier import LEAST_MAILS_COUNT, load
from mailchute.database import Database, migrate
from mailchute.delivery import AttemptOutcome
from mailchute.errors import BadSetting
from mailchute.store import keys as store
from mailchute.store.accounts import ensure_account
from mailchute_cli import migrate as migrate_module
from mailchute_cli.emails import attempts, emails
from mailchute_cli.endpoints import endpoints
from mailchute_cli.home import Home
from mailchute_cli.keys import keys
from mailchute_cli.routes import routes
from mailchute_cli.spam import spam
from mailchute_cli.table import cell

from functions.record.ledger import record
from tests.unit.record.test_fold import BEGIN, LIFE, attempted, told

Run = Callable[..., str]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "data")
    migrate(home.database_url)
    return home


@pytest.fixture
def run(home: Home) -> Run:
    runner = click.testing.CliRunner(env={"MAILCHUTE_DATABASE_URL": None, "MAILCHUTE_MASTER_KEY_FILE": None})

    def run(command: click.Command, *arguments: str) -> str:
        result = runner.invoke(command, [*arguments, "--data", str(home.directory)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def recorded(home: Home) -> None:
    database = Database(home.database_url)
    with database.write() as connection:
        account_id = ensure_account(connection, now=BEGIN)
    hostile = told("rejected", mail="msg_9", reason="\x1b[31mred\r\n")
    events = [*LIFE, hostile]
    record(database, [msgspec.structs.replace(event, account_id=account_id) for event in events])
    database.close()


def test_a_key_is_made_for_a_program_and_opens_the_api(home: Home, run: Run) -> None:
    made = json.loads(run(keys, "create", "--name", "ci", "--json"))
    database = Database(home.database_url)
    with database.read() as connection:
        found = store.authenticate(connection, made["key"])
    database.close()
    assert found is not None
    assert (found.name, found.scopes) == ("ci", store.SCOPES)
    assert made["key"] not in run(keys, "list")
    assert f"{found.id} is revoked" in run(keys, "revoke", found.id)
    with pytest.raises(BadSetting, match="no such key, or revoked already"):
        run(keys, "revoke", found.id)
    with pytest.raises(BadSetting, match="a key needs a name"):
        run(keys, "create", "--name", " ")


def test_mails_and_their_attempts_are_read_in_one_command_each(home: Home, run: Run) -> None:
    assert "no mail yet" in run(emails, "list")
    recorded(home)
    listed = run(emails, "list")
    ids = ["msg_9", "msg_5", "msg_4", "msg_3", "msg_2", "msg_1"]
    assert [line.split()[0] for line in listed.splitlines()] == ["ID", *ids]
    assert [one["id"] for one in json.loads(run(emails, "list", "--state", "dead", "--json"))["emails"]] == [
        "msg_3"
    ]
    shown = run(emails, "show", "msg_1")
    assert "Hello again" in shown
    assert "endpoint-gone" in shown
    tried = run(attempts, "msg_1")
    assert [line.split()[4] for line in tried.splitlines()[1:]] == [
        "failed",
        "gone",
        "delivered",
        "delivered",
    ]
    assert {one["status"] for one in json.loads(run(attempts, "msg_1", "--json"))["attempts"]} == {
        500, 410, 200, 204,
    }  # fmt: skip
    with pytest.raises(BadSetting, match="no such mail"):
        run(attempts, "msg_unknown")


def test_what_a_stranger_wrote_does_not_move_the_cursor(home: Home, run: Run) -> None:
    recorded(home)
    assert "\x1b" not in run(emails, "show", "msg_9")
    assert cell("a\x1b[31m\u202e") == "a\ufffd[31m\ufffd"


def test_secrets_of_endpoints_are_shown_when_asked_for(home: Home, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "routes.yml"
    file.write_text("version: 1\ndomains: {a.test: {one: https://a.example}}\n")
    assert "no endpoint yet" in run(endpoints, "list")
    made = json.loads(run(routes, "apply", str(file), "--json"))["changes"][-1]
    assert made["secret"] not in run(endpoints, "list")
    assert made["secret"] in run(endpoints, "list", "--show-secrets")
    assert "is disabled" in run(endpoints, "disable", made["id"])
    assert "disabled: by its owner" in run(endpoints, "list")
    run(endpoints, "enable", made["id"])
    assert "disabled" not in run(endpoints, "list")
    for command in ("enable", "show"):
        with pytest.raises(BadSetting, match="no such endpoint"):
            run(endpoints, command, "end_unknown")


def test_an_endpoint_that_fails_shows_its_owner_what_to_do(home: Home, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "routes.yml"
    file.write_text("version: 1\ndomains: {a.test: {one: https://a.example}}\n")
    made = json.loads(run(routes, "apply", str(file), "--json"))["changes"][-1]
    reason = "404: nothing answers at this path; check the URL"
    failed = msgspec.structs.replace(
        attempted(10, made["id"], 1, "failed", 404),
        at=datetime.now(UTC),
        outcome=AttemptOutcome(
            result="failed", status=404, reason=reason, started_at=datetime.now(UTC), duration_s=0.1
        ),
    )
    database = Database(home.database_url)
    record(database, [failed])
    database.close()
    assert "failing since" in run(endpoints, "list")
    assert reason[:50] in run(endpoints, "list")
    assert reason in run(endpoints, "show", made["id"])
    shown = json.loads(run(endpoints, "show", made["id"], "--json"))["endpoint"]
    assert shown["failedReason"] == reason
    run(endpoints, "enable", made["id"])
    assert "failing" not in run(endpoints, "list")


def test_the_tables_are_brought_up_to_date(home: Home, run: Run) -> None:
    migrate(home.database_url, "base")
    with pytest.raises(BadSetting, match="run `mailchute migrate`"):
        run(emails, "list")
    run(migrate_module.migrate)
    assert "no mail yet" in run(emails, "list")


def test_what_spam_train_learned_is_where_up_looks_for_it(home: Home, run: Run, tmp_path: Path) -> None:
    for kind, word in (("ham", "meeting"), ("spam", "casino")):
        (tmp_path / kind).mkdir()
        for number in range(LEAST_MAILS_COUNT):
            (tmp_path / kind / f"{number}.eml").write_bytes(f"Subject: {word}\r\n\r\n{word}\r\n".encode())
    said = run(spam, "train", "--ham", str(tmp_path / "ham"), "--spam", str(tmp_path / "spam"))
    assert f"{LEAST_MAILS_COUNT} of spam" in said
    assert load(home.spam_model).spam_count == LEAST_MAILS_COUNT
