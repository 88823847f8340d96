"""What the control plane writes and lists, on both databases, each account apart from the others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from mailchute.database import Database
from mailchute.directory import Directory
from mailchute.envelope import Path
from mailchute.installation import establish
from mailchute.sealing import Keyring
from mailchute.store import audit, keys, mails, routing
from mailchute.store.accounts import account_id_of, ensure_account
from mailchute.store.endpoints import enable_endpoint
from mailchute.store.listing import list_aliases, list_domains, list_endpoints
from mailchute.store.wanted import Wanted, WantedAlias, WantedDomain, WantedEndpoint
from mailchute.tables import api_key

from functions.record.ledger import record
from tests.unit.record.test_fold import BEGIN, LIFE, told

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def connection(database_url: str) -> Iterator[sa.Connection]:
    database = Database(database_url)
    with database.write() as connection:
        yield connection
    database.close()


def test_an_account_is_made_once(connection: sa.Connection) -> None:
    assert account_id_of(connection) is None
    assert ensure_account(connection, now=NOW) == ensure_account(connection, now=NOW)
    assert ensure_account(connection, now=NOW, name="other") != account_id_of(connection)


def test_a_key_opens_until_it_is_revoked_and_is_kept_as_a_digest(connection: sa.Connection) -> None:
    account_id = ensure_account(connection, now=NOW)
    made, text = keys.create(connection, account_id=account_id, name="ci", now=NOW, scopes=("emails:read",))
    assert text.startswith("mc_")
    assert keys.authenticate(connection, text) == made
    for wrong in ("", text[:-1], text.upper(), "mc_\x00\udcff"):
        assert keys.authenticate(connection, wrong) is None
    assert text not in repr(connection.execute(sa.select(api_key)).all())
    assert not keys.revoke(connection, account_id="acc_other", key_id=made.id, now=NOW)
    assert keys.revoke(connection, account_id=account_id, key_id=made.id, now=NOW)
    assert not keys.revoke(connection, account_id=account_id, key_id=made.id, now=NOW)
    assert keys.authenticate(connection, text) is None
    assert [(one.id, one.revoked_at) for one in keys.list_keys(connection, account_id)] == [(made.id, NOW)]


def test_a_keys_use_is_noted_once_a_minute(connection: sa.Connection) -> None:
    account_id = ensure_account(connection, now=NOW)
    made, text = keys.create(connection, account_id=account_id, name="ci", now=NOW)
    assert keys.wants_note(made, NOW)
    keys.note_use(connection, made, NOW)
    used = keys.authenticate(connection, text)
    assert used is not None
    assert not keys.wants_note(used, NOW + timedelta(seconds=59))
    assert keys.wants_note(used, NOW + timedelta(seconds=60))


@pytest.mark.parametrize(("name", "scopes"), [("", ("emails:read",)), ("x", ()), ("x", ("all",))])
def test_a_key_without_a_name_or_with_an_unknown_scope_is_refused(
    connection: sa.Connection, name: str, scopes: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="scope"):
        keys.create(connection, account_id="acc_1", name=name, now=NOW, scopes=scopes)


def test_the_audit_trail_tells_the_newest_first_a_page_at_a_time(connection: sa.Connection) -> None:
    for number in range(5):
        audit.note(
            connection, account_id="acc_1", now=NOW, actor="cli", action="x", object_id=f"end_{number}"
        )
    audit.note(connection, account_id="acc_2", now=NOW, actor="cli", action="x", object_id="not ours")
    first = audit.list_entries(connection, "acc_1", limit=3)
    rest = audit.list_entries(connection, "acc_1", before=first[-1].id, limit=3)
    assert sorted(one.object_id for one in first + rest) == [f"end_{number}" for number in range(5)]
    assert [one.id for one in first + rest] == sorted((one.id for one in first + rest), reverse=True)


def test_mails_are_listed_newest_first_by_state_alias_and_message_id_and_account(database_url: str) -> None:
    database = Database(database_url)
    record(database, [*LIFE, *(told("accepted", mail=f"msg_a{number}") for number in range(5))])
    with database.read() as connection:
        everything = mails.list_mails(connection, "acc_1")
        assert [one.id for one in everything][:3] == ["msg_a4", "msg_a3", "msg_a2"]
        pages, before = [], None
        while page := mails.list_mails(connection, "acc_1", before=before, limit=3):
            pages += page
            before = page[-1].id
        assert pages == everything
        assert [one.id for one in mails.list_mails(connection, "acc_1", state="rejected")] == ["msg_2"]
        assert len(mails.list_mails(connection, "acc_1", message_id="<1@a.test>")) == 5
        assert mails.list_mails(connection, "acc_1", alias_id="als_2") == []
        assert mails.list_mails(connection, "acc_2") == []
        assert mails.mail_of(connection, "acc_2", "msg_1") is None
        found = mails.mail_of(connection, "acc_1", "msg_1")
        assert found is not None
        assert (found.subject, found.state) == ("Hello again", "delivered")
    database.close()


def test_the_sequence_of_attempts_for_one_mail_is_one_question(database_url: str) -> None:
    database = Database(database_url)
    record(database, LIFE)
    with database.read() as connection:
        found = mails.attempts_of(connection, "acc_1", "msg_1")
        assert [(one.endpoint_id, one.run[:3], one.number, one.status) for one in found] == [
            ("end_1", "0", 1, 500),
            ("end_2", "0", 1, 410),
            ("end_1", "0", 2, 200),
            ("end_2", "run", 1, 204),
        ]
        assert mails.attempts_of(connection, "acc_2", "msg_1") == []
        deliveries = mails.list_deliveries(connection, "acc_1", mail_id="msg_1")
        assert len(deliveries) == 3
        first, rest = deliveries[0], deliveries[1:]
        assert mails.list_deliveries(connection, "acc_1", before=(first.mail_id, first.id)) == rest
        assert mails.delivery_of(connection, "acc_1", first.id) == first
        assert mails.delivery_of(connection, "acc_2", first.id) is None
        assert {one.state for one in deliveries} == {"delivered", "dead"}
        only = mails.list_deliveries(connection, "acc_1", endpoint_id="end_2", state="dead")
        assert [one.dead_reason for one in only] == ["endpoint-gone"]
    database.close()


def test_routes_are_listed_without_secrets_unless_asked(connection: sa.Connection) -> None:
    account_id = ensure_account(connection, now=NOW)
    sealer = establish(connection, Keyring((b"k" * 32,)))
    wanted = WantedDomain(
        name="a.test",
        aliases=(
            WantedAlias(
                name="one", kind="exact", match="one",
                endpoints=(
                    WantedEndpoint(url="https://a.example/1", secret="one secret"),
                    WantedEndpoint(url="https://a.example/2"),
                ),
            ),
        ),
    )  # fmt: skip
    routing.apply(
        connection, Wanted(domains=(wanted,)), account_id=account_id, sealer=sealer, now=NOW, actor="cli"
    )
    (domain,) = list_domains(connection, account_id)
    (alias,) = list_aliases(connection, account_id, domain_id=domain.id)
    assert (domain.name, alias.address) == ("a.test", "one@a.test")
    first, second = list_endpoints(connection, account_id, alias_id=alias.id)
    assert {first.url, second.url} == {"https://a.example/1", "https://a.example/2"}
    assert (first.secret, second.secret) == (None, None)
    assert list_endpoints(connection, account_id, after=first.id) == [second]
    secrets = {one.secret for one in list_endpoints(connection, account_id, sealer=sealer)}
    assert "one secret" in secrets
    for lister in (list_domains, list_aliases, list_endpoints):
        assert lister(connection, "acc_other") == []


def test_tls_and_keys_reach_who_needs_them_and_a_change_is_told(database_url: str) -> None:
    keyring = Keyring((b"k" * 32,))
    plain = WantedEndpoint(url="https://a.example")
    keyed = WantedEndpoint(url="https://a.example", signs_v1a=True, client_certificate="PEM")
    database = Database(database_url)
    for wanted, requires_tls, differing in (
        (plain, False, [("add", ()), ("add", ()), ("add", ())]),
        (keyed, True, [("change", ("requires_tls",)), ("change", ("signs_v1a", "client_certificate"))]),
        (keyed, True, []),
        (plain, False, [("change", ("requires_tls",)), ("change", ("signs_v1a", "client_certificate"))]),
    ):
        alias = WantedAlias(name="one", kind="exact", match="one", endpoints=(wanted,))
        domain = WantedDomain(name="a.test", aliases=(alias,), requires_tls=requires_tls)
        with database.write() as connection:
            changes = routing.apply(
                connection, Wanted(domains=(domain,)), account_id=ensure_account(connection, now=NOW),
                sealer=establish(connection, keyring), now=NOW, actor="cli",
            )  # fmt: skip
            assert (
                list_domains(connection, ensure_account(connection, now=NOW))[0].requires_tls == requires_tls
            )
        assert [(one.kind, one.fields) for one in changes] == differing
        directory = Directory(database_url, keyring=keyring)
        found = directory.find(Path("one", "a.test"))
        assert found is not None
        endpoint = directory.endpoint(found.endpoints[0].id)
        assert endpoint is not None
        assert found.requires_tls == requires_tls
        assert (endpoint.signs_v1a, endpoint.client_certificate) == (
            wanted.signs_v1a,
            wanted.client_certificate,
        )
        directory.close()
    database.close()


def test_an_endpoint_is_disabled_and_enabled_by_its_account_alone(connection: sa.Connection) -> None:
    account_id = ensure_account(connection, now=NOW)
    sealer = establish(connection, Keyring((b"k" * 32,)))
    alias = WantedAlias(
        name="one", kind="exact", match="one", endpoints=(WantedEndpoint(url="https://a.example"),)
    )
    routing.apply(
        connection, Wanted(domains=(WantedDomain(name="a.test", aliases=(alias,)),)),
        account_id=account_id, sealer=sealer, now=NOW, actor="cli",
    )  # fmt: skip
    (endpoint,) = list_endpoints(connection, account_id)
    assert not enable_endpoint(
        connection, account_id="acc_other", endpoint_id=endpoint.id, is_enabled=False, now=BEGIN
    )
    for is_enabled, reason in ((False, "by its owner"), (True, None)):
        assert enable_endpoint(
            connection, account_id=account_id, endpoint_id=endpoint.id, is_enabled=is_enabled, now=BEGIN
        )
        (found,) = list_endpoints(connection, account_id)
        assert (found.disabled_reason, found.disabled_at is None) == (reason, is_enabled)
