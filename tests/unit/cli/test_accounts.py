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
