"""Rules on their way from a routes file to the mail: written once, shown when they differ, asked in order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from mailchute.alias import Rule
from mailchute.database import Database
from mailchute.directory import Directory
from mailchute.envelope import Path
from mailchute.installation import establish
from mailchute.routes.file import parse_routes
from mailchute.sealing import Keyring
from mailchute.store import audit, routing
from mailchute.store.accounts import ensure_account
from mailchute.store.wanted import Change
from mailchute_cli import routes

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ROUTES = """
version: 1
domains:
  a.test:
    rules: [{if: virus, then: block}]
    one:
      endpoints: [https://a.example/1, "https://a.example/2?token=secret"]
      rules:
        - {if: {recipient.tag: bills}, then: route, to: "https://a.example/2?token=secret"}
        - {if: "size > 1KiB", then: drop, attachments: [.exe, image/*]}
    two: https://a.example/1
  b.test: {three: https://b.example}
"""


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


def applied(database: Database, text: str) -> list[Change]:
    with database.write() as connection:
        return list(
            routing.apply(
                connection, parse_routes(text), account_id=ensure_account(connection, now=NOW),
                sealer=establish(connection, Keyring((b"k" * 32,))), now=NOW, actor="cli",
            )
        )  # fmt: skip


def rules_of(database_url: str, address: str) -> tuple[Rule, ...]:
    directory = Directory(database_url)
    found = directory.find(Path.parse(address))
    directory.close()
    assert found is not None
    return found.rules


def test_a_snapshot_has_the_aliass_rules_then_its_domains_and_endpoints_by_id(
    database: Database, database_url: str
) -> None:
    changes = applied(database, ROUTES)
    (endpoint_id,) = [one.id for one in changes if one.name.endswith("token=secret")]
    block = Rule(when="virus", then="block")
    assert rules_of(database_url, "one@a.test") == (
        Rule(when='recipient.tag == "bills"', then="route", endpoint_id=endpoint_id),
        Rule(when="size > 1KiB", then="drop", drop=(".exe", "image/*")),
        block,
    )
    assert rules_of(database_url, "two@a.test") == (block,)
    assert rules_of(database_url, "three@b.test") == ()
    assert "token=secret" not in repr(rules_of(database_url, "one@a.test"))


def test_a_change_of_any_part_of_a_rule_is_told_once(database: Database) -> None:
    applied(database, ROUTES)
    assert applied(database, ROUTES) == []
    former = ROUTES
    for before, after, name in (
        ("{if: virus, then: block}", "{if: virus, then: tag}", "a.test"),
        ("[.exe, image/*]", "[.exe]", "one@a.test"),
        ('to: "https://a.example/2?token=secret"', "to: https://a.example/1", "one@a.test"),
        ("    rules: [{if: virus, then: tag}]\n", "", "a.test"),
    ):
        former = former.replace(before, after)
        assert [(one.kind, one.what, one.name) for one in applied(database, former)] == [
            ("change", "rules", name)
        ]
        assert applied(database, former) == []


def test_the_audit_trail_has_what_was_and_what_is_but_no_secret(database: Database) -> None:
    text = """version: 1
domains:
  a.test:
    "o-*": {endpoints: [{url: "https://a.example", secret: old-canary}], rules: [{if: virus, then: block}]}
"""
    applied(database, text)
    changes = applied(
        database,
        text.replace("old-canary", "new-canary, basic_auth: 'u:canary', format: postmark")
        .replace("rules:", "priority: 7, rules:")
        .replace("then: block", "then: tag"),
    )
    with database.read() as connection:
        trail = audit.list_entries(connection, ensure_account(connection, now=NOW), limit=3)
    told = {one.action: (one.before, one.after) for one in trail}
    assert told == {
        "alias.change": ({"priority": 0}, {"priority": 7}),
        "rules.change": ({"rules": ["virus → block"]}, {"rules": ["virus → tag spam"]}),
        "endpoint.change": (
            {"format": "native", "basic_auth": None, "secret": "set"},
            {"format": "postmark", "basic_auth": "set", "secret": "set"},
        ),
    }
    assert "canary" not in repr(trail) + repr(changes)
    shown = "\n".join(routes.told(changes))
    assert "~ alias     o-*@a.test\n      priority: 0 → 7" in shown
    assert "- virus → block\n      + virus → tag spam" in shown


def test_a_domain_that_comes_back_has_the_rules_it_comes_back_with(
    database: Database, database_url: str
) -> None:
    applied(database, ROUTES)
    applied(database, "version: 1\ndomains: {b.test: {three: https://b.example}}")
    applied(database, ROUTES.replace("    rules: [{if: virus, then: block}]\n", ""))
    assert rules_of(database_url, "two@a.test") == ()


def test_a_rule_whose_endpoint_is_gone_routes_to_none_in_particular(
    database: Database, database_url: str
) -> None:
    """The API can take an endpoint away that a rule of the file still names."""
    changes = applied(database, ROUTES)
    (endpoint_id,) = [one.id for one in changes if one.name.endswith("token=secret")]
    with database.write() as connection:
        connection.exec_driver_sql(f"UPDATE endpoint SET deleted_at = created_at WHERE id = '{endpoint_id}'")
    first = rules_of(database_url, "one@a.test")[0]
    assert (first.then, first.endpoint_id) == ("route", None)
