"""`mailchute routes`: the database agrees with the file, however often and from wherever it is applied."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click.testing
import pytest
import sqlalchemy as sa
from mailchute import tables
from mailchute.database import Database, migrate
from mailchute.directory import Directory
from mailchute.envelope import Path as MailPath
from mailchute.errors import BadSetting, SecretUnreadable
from mailchute.sealing import Keyring
from mailchute.store.wanted import Change
from mailchute_cli.home import Home
from mailchute_cli.routes import agree, apply_file, routes, told

KEY = b"k" * 32
NOW = datetime(2026, 11, 21, tzinfo=UTC)
SECRET = "whsec_" + "QUFB" * 8


def file_text(*aliases: str, domain: str = "inbox.test") -> str:
    lines = "\n".join(f"    {alias}" for alias in aliases)
    return f"version: 1\ndomains:\n  {domain}:\n{lines}\n"


SUPPORT = "support: https://a.example/1"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def applied(database: Database, tmp_path: Path) -> Callable[..., tuple[Change, ...]]:
    def apply(*aliases: str, **options: Any) -> tuple[Change, ...]:
        file = tmp_path / "routes.yml"
        file.write_text(file_text(*aliases, **options))
        return agree(file, database, Keyring((KEY,)))

    return apply


def endpoint_of(database: Database, local_part: str = "support", domain: str = "inbox.test") -> Any:
    directory = Directory(database.url.render_as_string(hide_password=False), keyring=Keyring((KEY,)))
    found = directory.find(MailPath(local_part, domain))
    endpoint = directory.endpoint(found.endpoints[0].id) if found else None
    directory.close()
    return found, endpoint


def brief(changes: tuple[Change, ...]) -> list[tuple[str, str, str]]:
    return [(one.kind, one.what, one.name) for one in changes]


def test_what_is_new_is_added_and_its_secret_told_once(database: Database, applied: Any) -> None:
    changes = applied(SUPPORT)
    assert brief(changes) == [
        ("add", "domain", "inbox.test"),
        ("add", "alias", "support@inbox.test"),
        ("add", "endpoint", "support@inbox.test → https://a.example/1"),
    ]
    secret = changes[2].secret
    assert secret is not None
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    found, endpoint = endpoint_of(database)
    assert found.address == "support@inbox.test"
    assert (endpoint.id, endpoint.secrets, endpoint.url) == (changes[2].id, (secret,), "https://a.example/1")
    assert applied(SUPPORT) == ()


def test_what_stays_keeps_its_id_and_secret_whatever_else_changes(database: Database, applied: Any) -> None:
    applied(SUPPORT)
    before, endpoint = endpoint_of(database)
    changes = applied(
        "Support: {endpoints: [{url: https://a.example/1, format: postmark}, https://a.example/2], "
        "rules: [{if: 'spam.score > 7', then: block}]}",
        "other: https://a.example/1",
    )
    assert [(one.kind, one.what, one.fields) for one in changes] == [
        ("change", "alias", ("name",)),
        ("change", "rules", ()),
        ("change", "endpoint", ("format",)),
        ("add", "endpoint", ()),
        ("add", "alias", ()),
        ("add", "endpoint", ()),
    ]
    after, same = endpoint_of(database)
    assert (after.alias_id, same.id, same.secrets) == (before.alias_id, endpoint.id, endpoint.secrets)
    assert (same.format, after.rules[0].when) == ("postmark", "spam.score > 7")


def test_a_given_secret_replaces_the_made_one_and_both_sign_for_a_day(
    database: Database, applied: Any
) -> None:
    applied(SUPPORT)
    _, before = endpoint_of(database)
    changes = applied(f"support: {{endpoints: [{{url: https://a.example/1, secret: {SECRET}}}]}}")
    assert [(one.kind, one.fields, one.secret) for one in changes] == [("change", ("secret",), None)]
    _, after = endpoint_of(database)
    assert after.secrets == (SECRET, before.secrets[0])
    assert applied(SUPPORT) == ()


def test_another_url_in_its_place_is_the_same_endpoint(database: Database, applied: Any) -> None:
    applied("support: {endpoints: [{url: https://a.example/1, verify: true}, https://a.example/2]}")
    _, before = endpoint_of(database)
    with database.write() as connection:
        failing = {"disabled_at": NOW, "disabled_reason": "failing", "failing_since": NOW, "verified_at": NOW}
        connection.execute(sa.update(tables.endpoint).values(failing))
    changes = applied("support: {endpoints: [{url: https://b.example/1, verify: true}, https://a.example/2]}")
    assert [(one.kind, one.id, one.fields) for one in changes] == [("change", before.id, ("url",))]
    _, after = endpoint_of(database)
    assert (after.url, after.secrets) == ("https://b.example/1", before.secrets)
    # Another receiver: it has echoed nothing yet, and what the former one did is not held against it.
    assert (after.is_disabled, after.is_unverified) == (False, True)
    found, _ = endpoint_of(database)
    assert len(found.endpoints) == 2
    removed = ("remove", "endpoint", "support@inbox.test → https://b.example/1")
    assert removed in brief(applied("support: {endpoints: [https://a.example/2]}"))


def test_what_vanishes_is_marked_deleted_and_comes_back_the_same(database: Database, applied: Any) -> None:
    applied(SUPPORT, "other: https://a.example/2")
    _, before = endpoint_of(database)
    assert brief(applied("other: https://a.example/2")) == [
        ("remove", "endpoint", "support@inbox.test → https://a.example/1"),
        ("remove", "alias", "support@inbox.test"),
    ]
    assert endpoint_of(database) == (None, None)
    directory = Directory(database.url.render_as_string(hide_password=False), keyring=Keyring((KEY,)))
    waiting = directory.endpoint(before.id)
    directory.close()
    assert waiting is not None
    assert waiting.is_deleted
    changes = applied(SUPPORT, "other: https://a.example/2")
    assert [(one.kind, one.what, one.secret) for one in changes] == [
        ("add", "alias", None),
        ("add", "endpoint", None),
    ]
    assert endpoint_of(database)[1] == before


def test_a_domain_that_vanishes_takes_its_aliases_and_endpoints_along(
    database: Database, applied: Any
) -> None:
    applied(SUPPORT)
    assert brief(applied(SUPPORT, domain="else.test"))[:3] == [
        ("remove", "endpoint", "support@inbox.test → https://a.example/1"),
        ("remove", "alias", "support@inbox.test"),
        ("remove", "domain", "inbox.test"),
    ]
    assert endpoint_of(database) == (None, None)
    assert endpoint_of(database, domain="else.test")[0] is not None


def test_an_endpoint_disabled_by_its_receiver_stays_so(database: Database, applied: Any) -> None:
    applied(SUPPORT)
    with database.write() as connection:
        connection.execute(
            sa.update(tables.endpoint).values(
                disabled_reason="gone", disabled_at=tables.endpoint.c.created_at
            )
        )
    assert applied(SUPPORT) == ()
    assert endpoint_of(database)[1].is_disabled


def test_the_retention_of_the_account_follows_the_file_within_its_plan(
    database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "routes.yml"
    file.write_text("retention: 24h\n" + file_text(SUPPORT))
    assert ("change", "account", "default") in brief(agree(file, database, Keyring((KEY,))))
    assert endpoint_of(database)[0].retention_s == 86_400
    with database.write() as connection:
        connection.execute(sa.insert(tables.plan).values(name="free", retention_max_s=3_600, permissions=[]))
        connection.execute(sa.update(tables.account).values(plan_name="free"))
    with pytest.raises(BadSetting, match="86400 s is more than the 3600 s of the account's plan"):
        agree(file, database, Keyring((KEY,)))
    file.write_text(file_text(SUPPORT))
    assert brief(agree(file, database, Keyring((KEY,)))) == []  # what a file does not say stays as it is


def test_all_that_is_secret_is_sealed(database: Database, applied: Any) -> None:
    applied(
        "support: {endpoints: [{url: https://a.example/1, secret: canary-1, basic_auth: 'u:canary-2', "
        "headers: {x-token: canary-3}}]}"
    )
    _, endpoint = endpoint_of(database)
    assert endpoint.secrets == ("canary-1",)
    assert (endpoint.basic_auth, endpoint.headers) == ("u:canary-2", (("x-token", "canary-3"),))
    with database.read() as connection:
        rows = connection.execute(sa.select(tables.endpoint)).all()
    assert "canary" not in repr(rows)
    if database.is_sqlite:
        assert b"canary" not in Path(database.url.database or "").read_bytes()


def test_a_plan_says_the_same_and_changes_nothing(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "routes.yml"
    file.write_text(file_text(SUPPORT))
    planned = agree(file, database, Keyring((KEY,)), is_kept=False)
    with database.read() as connection:
        for table in (tables.account, tables.domain, tables.alias, tables.endpoint):
            assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0
    assert brief(agree(file, database, Keyring((KEY,)))) == brief(planned)


def test_another_master_key_changes_nothing(database: Database, applied: Any, tmp_path: Path) -> None:
    applied(SUPPORT)
    file = tmp_path / "routes.yml"
    file.write_text(file_text("other: https://a.example/2"))
    with pytest.raises(SecretUnreadable, match="another master key"):
        agree(file, database, Keyring((b"x" * 32,)))
    assert endpoint_of(database)[0] is not None


def test_a_domain_of_another_account_is_refused(database: Database, applied: Any) -> None:
    applied(SUPPORT)
    with database.write() as connection:
        connection.execute(sa.update(tables.account).values(name="another"))
    with pytest.raises(BadSetting, match=r"inbox\.test: belongs to another account"):
        applied(SUPPORT)


def test_what_up_prints_begins_with_a_summary_and_holds_the_new_secrets(
    database_url: str, tmp_path: Path
) -> None:
    key_file, file = tmp_path / "key", tmp_path / "routes.yml"
    key_file.write_bytes(base64.b64encode(KEY))
    file.write_text(file_text(SUPPORT))
    lines = apply_file(file, database_url=database_url, master_key_file=key_file).splitlines()
    assert lines[0] == "1 domain added, 1 alias added, 1 endpoint added"
    assert "secret whsec_" in lines[-1]
    assert apply_file(file, database_url=database_url, master_key_file=key_file) == "nothing to change"
    assert told([]) == ["nothing to change"]


def test_the_command_checks_plans_and_applies_in_a_data_directory(tmp_path: Path) -> None:
    home = Home(tmp_path / "data")
    file = tmp_path / "routes.yml"
    file.write_text(file_text(SUPPORT))
    runner = click.testing.CliRunner(env={"MAILCHUTE_DATABASE_URL": None, "MAILCHUTE_MASTER_KEY_FILE": None})

    def run(*arguments: str) -> str:
        result = runner.invoke(routes, [*arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    assert "1 domain, 1 alias, no mistakes" in run("check", str(file))
    with pytest.raises(BadSetting, match="there is no installation in"):
        run("plan", str(file), "--data", str(home.directory))
    migrate(home.database_url)
    planned = run("plan", str(file), "--data", str(home.directory))
    assert "support@inbox.test" in planned
    assert "whsec_" not in planned
    changes = json.loads(run("apply", str(file), "--json", "--data", str(home.directory)))["changes"]
    assert changes[2]["secret"].startswith("whsec_")
    assert "nothing to change" in run("apply", str(file), "--data", str(home.directory))
