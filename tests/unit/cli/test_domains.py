"""`mailchute domains`, run as a person runs it, against a real DNS."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click.testing
import flask
import pytest
from mailchute.database import Database, migrate
from mailchute.errors import BadSetting
from mailchute_cli.domains import NOT_READY, domains
from mailchute_cli.home import Home

from functions.api.mta_sts import POLICY, policy_view
from tests.servers.dns import DnsServer

Run = Callable[..., str]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "data")
    migrate(home.database_url)
    return home


@pytest.fixture
def run(home: Home, dns: DnsServer) -> Run:
    environ = {
        "MAILCHUTE_DATABASE_URL": None, "MAILCHUTE_MASTER_KEY_FILE": None,
        "MAILCHUTE_HOSTNAME": "mx.host.test", "MAILCHUTE_DNS": dns.address,
    }  # fmt: skip

    def run(*arguments: str, status: int = 0, **more: str) -> str:
        runner = click.testing.CliRunner(env={**environ, **more})
        result = runner.invoke(domains, [*arguments, "--data", str(home.directory)], catch_exceptions=False)
        assert result.exit_code == status, result.output
        return result.output

    return run


def test_a_domain_is_added_its_records_set_and_verified(run: Run, dns: DnsServer) -> None:
    assert "no domain yet" in run("list")
    assert "mailchute-verify=" in run("add", "Inbox.test")
    again = json.loads(run("add", "inbox.test", "--json"))
    assert "incomplete" in run("verify", "inbox.test", status=NOT_READY)
    for one in again["records"]:
        zone = dict(dns.zone.get(one["name"], {}))  # type: ignore[arg-type]
        dns.zone[one["name"]] = {**zone, one["type"]: [one["expected"]]}
    assert "verified, checked" in run("verify")
    assert json.loads(run("verify", "--json"))["domains"][0]["records"][0]["settled"] == "ok"
    assert "11 of 11" in run("list")
    assert "verified" in run("show", "inbox.test")


def test_what_strangers_put_into_the_dns_does_not_move_the_cursor(run: Run, dns: DnsServer) -> None:
    run("add", "inbox.test")
    dns.zone["inbox.test"] = {"TXT": ["v=spf1 \x1b[31m -all"]}
    shown = run("verify", status=NOT_READY)
    assert "mismatch: add our a: mechanism" in shown
    assert "\x1b" not in shown


def test_records_come_in_forms_to_paste(run: Run) -> None:
    run("add", "inbox.test")
    assert "IN\tMX\t10 mx.host.test." in run("records", "inbox.test", "--format", "bind")
    assert 'zone = "test."' in run("records", "inbox.test", "--format", "terraform", "--zone", "test")
    assert len(json.loads(run("records", "inbox.test", "--format", "json"))["records"]) == 11
    with pytest.raises(BadSetting, match="does not lie in it"):
        run("records", "inbox.test", "--format", "terraform", "--zone", "other.test")


def test_what_cannot_be_is_told(run: Run) -> None:
    with pytest.raises(BadSetting, match="no such domain"):
        run("show", "none.test")
    with pytest.raises(BadSetting, match="is no domain"):
        run("add", "a..test")
    with pytest.raises(BadSetting, match="set MAILCHUTE_HOSTNAME"):
        run("add", "a.test", MAILCHUTE_HOSTNAME="localhost")


def test_the_policy_is_served_under_the_domains_own_name(run: Run, home: Home) -> None:
    run("add", "inbox.test")
    database = Database(home.database_url)
    app = flask.Flask("test")
    app.add_url_rule(POLICY, "policy", policy_view(database))
    for host, status in (("mta-sts.Inbox.test:443", 200), ("inbox.test", 404), ("mta-sts.other.test", 404)):
        answer = app.test_client().get(POLICY, headers={"Host": host})
        assert answer.status_code == status, host
    policy = app.test_client().get(POLICY, headers={"Host": "mta-sts.inbox.test"})
    assert policy.content_type == "text/plain"
    assert policy.text.splitlines() == [
        "version: STSv1",
        "mode: testing",
        "mx: mx.host.test",
        "max_age: 604800",
    ]
    database.close()
