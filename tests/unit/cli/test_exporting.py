"""An exported installation, imported, is the same again; whose mail is blocked, from the command line."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import click.testing
import pytest
import yaml
from mailchute.database import Database, migrate
from mailchute.errors import BadSetting
from mailchute.routes.file import parse_routes
from mailchute.routes.written import routes_text
from mailchute.store import audit
from mailchute_cli.__main__ import cli
from mailchute_cli.home import Home

from tests.servers.certificates import Authority
from tests.unit.shared.test_routes_file import RULES, WHOLE

Run = Callable[..., str]


@pytest.fixture
def homes(tmp_path: Path) -> tuple[Home, Home]:
    found = Home(tmp_path / "one"), Home(tmp_path / "two")
    for home in found:
        migrate(home.database_url)
    return found


def run(home: Home, *arguments: str) -> str:
    runner = click.testing.CliRunner(env={"MAILCHUTE_DATABASE_URL": None, "MAILCHUTE_MASTER_KEY_FILE": None})
    result = runner.invoke(cli, [*arguments, "--data", str(home.directory)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


FULL = WHOLE.replace("mode: async", "mode: through").replace(
    "format: postmark\n", "format: postmark\n          rate: 20/min\n          verify: true\n"
)


@pytest.mark.parametrize("text", [FULL, RULES], ids=["whole", "rules"])
def test_what_is_exported_with_secrets_makes_another_installation_the_same(
    homes: tuple[Home, Home], tmp_path: Path, text: str, authority: Authority
) -> None:
    one, two = homes
    document = yaml.safe_load(text)
    domain = document["domains"][next(iter(document["domains"]))]
    pem = authority.issue("mailchute").read_text()
    domain["signed"] = {
        "endpoints": [{"url": "https://s.example", "client_certificate": pem, "signature": "v1a"}]
    }
    file, exported = tmp_path / "routes.yml", tmp_path / "exported.yml"
    file.write_text(yaml.safe_dump(document))
    run(one, "routes", "apply", str(file))
    run(one, "export", "--with-secrets", "--output", str(exported))
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    assert run(one, "routes", "plan", str(exported)) == "nothing to change\n"
    assert "added" in run(two, "import", str(exported))
    assert run(two, "export", "--with-secrets") == exported.read_text()


def test_an_export_without_secrets_has_none_and_changes_no_secret(
    homes: tuple[Home, Home], tmp_path: Path
) -> None:
    one, _ = homes
    file, exported = tmp_path / "routes.yml", tmp_path / "exported.yml"
    file.write_text(
        "version: 1\ndomains:\n  a.test: {x: {endpoints: [{url: https://a.example, secret: canary}]}}\n"
    )
    run(one, "routes", "apply", str(file))
    exported.write_text(run(one, "export"))
    assert "canary" not in exported.read_text()
    assert run(one, "import", str(exported)) == "nothing to change\n"


def test_the_text_of_a_file_wants_what_the_file_wanted() -> None:
    for text in (FULL, RULES):
        wanted = parse_routes(text)
        again = parse_routes(routes_text(wanted))
        assert {one.name: one for one in again.domains} == {one.name: one for one in wanted.domains}


def test_a_sender_is_blocked_listed_and_taken_again(homes: tuple[Home, Home]) -> None:
    home, _ = homes
    assert "nobody is blocked" in run(home, "block", "list")
    run(home, "block", "add", "Spammer@Example.org", "--note", "asked to stop")
    run(home, "block", "add", "bad.example")
    network = json.loads(run(home, "block", "add", "198.51.100.0/24", "--json"))
    assert (network["kind"], network["value"]) == ("network", "198.51.100.0/24")
    listed = json.loads(run(home, "block", "list", "--json"))["entries"]
    assert [one["kind"] for one in listed] == ["address", "domain", "network"]
    assert "blocked no more" in run(home, "block", "remove", "bad.example")
    run(home, "block", "remove", network["id"])
    assert len(json.loads(run(home, "block", "list", "--json"))["entries"]) == 1
    for wrong in ("0.0.0.0/0", "not a domain", "@"):
        with pytest.raises(BadSetting):
            run(home, "block", "add", wrong)
    with pytest.raises(BadSetting, match="no such entry"):
        run(home, "block", "remove", "bad.example")
    database = Database(home.database_url)
    with database.read() as connection:
        account_id = connection.exec_driver_sql("SELECT id FROM account").scalar_one()
        trail = audit.list_entries(connection, account_id)
    database.close()
    assert [one.action for one in trail] == ["block.remove"] * 2 + ["block.add"] * 3
    assert trail[0].before == {"kind": "network", "value": "198.51.100.0/24", "note": ""}
    assert (trail[-1].after or {})["note"] == "asked to stop"
