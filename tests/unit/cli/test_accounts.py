"""`mailchute accounts` and `mailchute plans`, on an installation of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from mailchute.database import migrate
from mailchute.sealing import Keyring
from mailchute_cli.__main__ import cli

SAMPLE = Path(__file__).parents[3] / "docs" / "plans.yml"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir(mode=0o700)
    Keyring.generate(tmp_path / "secrets" / "master-key")
    migrate(f"sqlite:///{tmp_path / 'mailchute.db'}")
    return tmp_path


def run(data: Path, *words: str, as_json: bool = False) -> Any:
    done = CliRunner().invoke(cli, [*words, "--data", str(data), *(["--json"] if as_json else [])])
    assert done.exit_code == 0, done.output + repr(done.exception)
    return json.loads(done.output) if as_json else done.output


def test_an_account_is_made_put_on_a_plan_given_a_key_and_held(data: Path) -> None:
    assert "no plan yet" in run(data, "plans", "list")
    assert run(data, "plans", "apply", str(SAMPLE), as_json=True)["changed"][0] == "free"
    assert "nothing to change" in run(data, "plans", "apply", str(SAMPLE))
    assert "spam.analysis" in run(data, "plans", "list")
    made = run(data, "accounts", "create", "acme", "--plan", "free", as_json=True)
    run(data, "accounts", "set-plan", "acme", "business")
    run(data, "keys", "create", "--name", "ci", "--account", "acme")
    run(data, "accounts", "hold", "acme")
    (listed,) = run(data, "accounts", "list", as_json=True)["accounts"]
    assert (listed["id"], listed["plan"]["name"], listed["retentionS"]) == (made["id"], "business", 86_400)
    assert listed["heldAt"] is not None
    run(data, "accounts", "hold", "acme", "--release")
    run(data, "accounts", "set-plan", "acme", "none")
    assert "acme" in run(data, "accounts", "list")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("accounts", "set-plan", "nobody", "free"), "no such account"),
        (("accounts", "create", "acme", "--plan", "gold"), "no such plan"),
        (("accounts", "create", " "), "1 to 100 characters"),
        (("keys", "create", "--name", "x", "--account", "nobody"), "no such account"),
        (("plans", "apply", "/nowhere"), "cannot be read"),
    ],
)
def test_what_cannot_be_done_says_why(data: Path, words: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(cli, [*words, "--data", str(data)])
    assert done.exit_code != 0
    assert said in str(done.exception)


def test_all_that_is_known_of_an_account_is_exported_without_a_secret(data: Path, tmp_path: Path) -> None:
    routes = data / "routes.yml"
    routes.write_text(
        "version: 1\ndomains: {a.test: {one: {endpoints: [{url: https://a.example, secret: canary-1, "
        "basic_auth: 'u:canary-2', headers: {x-token: canary-3}}]}}}"
    )
    run(data, "routes", "apply", str(routes))
    key = run(data, "keys", "create", "--name", "ci", as_json=True)["key"]
    run(data, "accounts", "create", "other")
    folder = data / "export"
    assert "endpoint.jsonl  1" in run(data, "accounts", "export", "default", "--to", str(folder))
    text = "".join(path.read_text() for path in folder.iterdir())
    assert "canary" not in text
    assert key not in text
    assert "other" not in (folder / "account.jsonl").read_text()
    (row,) = [json.loads(line) for line in (folder / "alias.jsonl").read_text().splitlines()]
    assert row["name"] == "one"
    done = CliRunner().invoke(
        cli, ["accounts", "export", "default", "--to", str(folder), "--data", str(data)]
    )
    assert "not there yet" in str(done.exception)


def test_the_report_finds_nothing_that_has_outlived_its_time_and_says_so(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MAILCHUTE_NATS_URL", "MAILCHUTE_S3_BUCKET"):
        monkeypatch.delenv(name, raising=False)
    found = run(data, "retention", "report", as_json=True)
    assert found["isClean"] is True
    assert {one["place"] for one in found["findings"]} >= {
        "table email",
        "table attempt",
        "table account_event",
    }
    assert "nothing has outlived its time" in run(data, "retention", "report")
