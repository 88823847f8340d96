"""The records of a domain against a real DNS: what is there, what is not, and what changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from mailchute.database import Database
from mailchute.domain_check import checked
from mailchute.domain_records import Record, is_verified, wanted_records
from mailchute.installation import establish
from mailchute.resolver import Resolver
from mailchute.sealing import Keyring, Place
from mailchute.settings import DnsSettings
from mailchute.store import account_events, audit
from mailchute.store.accounts import ensure_account
from mailchute.store.domain_checks import (
    RECHECK_PENDING_S,
    RECHECK_S,
    CheckedDomain,
    due_domains,
    find_domain,
    keep_check,
    policy_for,
)
from mailchute.store.domain_needs import prepare
from mailchute.store.domains import create_domain
from mailchute.store.reseal import reseal
from mailchute.tables import domain
from mailchute.zone_file import bind_of, terraform_of

from functions.expire.domains import DomainChecks
from tests.servers.dns import DnsServer

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOST = "mx.host.test"
KEYRING = Keyring((b"k" * 32,))
RECORDS = {
    one.kind: one
    for one in wanted_records(
        "inbox.test", hostname=HOST, token="t0k", selector="mc1", dkim_record="v=DKIM1; k=rsa; p=QUJD",
        requires_tls=False,
    )
}  # fmt: skip


def resolver(dns: DnsServer) -> Resolver:
    return Resolver(DnsSettings(host=dns.host, port=dns.port), query_timeout_s=0.3, lookup_timeout_s=1)


def set_all(dns: DnsServer, records: tuple[Record, ...]) -> None:
    """Set every record as it is asked for, to be changed at once by the next call."""
    for one in records:
        name = one.name.replace("*", "mailchute-check")
        dns.zone[name] = {**dict(dns.zone.get(name, {})), one.type: [one.expected], "TTL": 0}  # type: ignore[arg-type]
    dns.zone[HOST] = {"A": ["192.0.2.9"], "TTL": 0}


CASES: list[tuple[str, object, str]] = [
    ("mx", {"MX": ["10 MX.host.test"]}, "ok"),
    ("mx", {"MX": ["10 mx.host.test", "20 other.test"]}, "several"),
    ("mx", {"MX": ["10 other.test"]}, "mismatch"),
    ("mx", {"A": ["192.0.2.1"]}, "missing"),
    ("mx", "servfail", "temperror"),
    ("mx", "timeout", "temperror"),
    ("ownership", {"TXT": ["mailchute-verify=t0k", "google-site=x"]}, "ok"),
    ("ownership", {"TXT": ["mailchute-verify=old", "mailchute-verify=t0k"]}, "ok"),
    ("ownership", {"TXT": ["mailchute-verify=other"]}, "mismatch"),
    ("ownership", {"TXT": ["t0k"]}, "missing"),
    ("spf", {"TXT": ["v=spf1 include:x.test a:mx.host.test -all", "other"]}, "ok"),
    ("spf", {"TXT": ["v=spf1 +a:MX.host.test -all"]}, "ok"),
    ("spf", {"TXT": ["v=spf1 a:amx.host.test -all"]}, "mismatch"),
    ("spf", {"TXT": ["v=spf1 -all", "v=spf1 a:mx.host.test -all"]}, "several"),
    ("dkim", {"TXT": ["p= QU JD ; k=rsa"]}, "ok"),
    ("dkim", {"TXT": ["v=DKIM1; p=WFla"]}, "mismatch"),
    ("dmarc", {"TXT": ["v=DMARC1; p=reject; rua=mailto:a@b.test"]}, "ok"),
    ("dmarc", {"TXT": ["v=DMARC1"]}, "mismatch"),
    ("mta-sts", {"TXT": ["v=STSv1; id=20260101"]}, "mismatch"),
    ("tls-rpt", {"TXT": ["v=TLSRPTv1; rua=https://a.test"]}, "ok"),
    ("bounce", {"CNAME": ["mx.host.test"]}, "ok"),
    ("bounce", {"CNAME": ["other.test"]}, "mismatch"),
    ("bounce", {"A": ["192.0.2.9"]}, "ok"),
    ("bounce", {"A": ["192.0.2.10"]}, "mismatch"),
    ("bounce", {}, "missing"),
    ("spf", "huge", "missing"),
    ("spf", "lie", "temperror"),
]


@pytest.mark.parametrize(("kind", "zone", "state"), CASES)
def test_a_record_is_judged_by_what_the_dns_says(dns: DnsServer, kind: str, zone: object, state: str) -> None:
    dns.zone[HOST] = {"A": ["192.0.2.9"]}
    dns.zone[RECORDS[kind].name] = zone  # type: ignore[assignment]
    (one,) = checked([RECORDS[kind]], resolver(dns), NOW)
    assert (one.state, one.since) == (state, NOW), one
    assert bool(one.reason) is (state not in ("ok", "missing") or (kind == "mx" and state == "missing"))
    assert sum(map(len, one.found)) < 10_000


def test_every_record_set_as_it_is_asked_for_is_ok_also_below_a_wildcard(dns: DnsServer) -> None:
    for name in ("inbox.test", "*.wild.test"):
        wanted = wanted_records(
            name, hostname=HOST, token="t", selector="mc1", dkim_record="v=DKIM1; p=" + "A" * 392,
            requires_tls=True,
        )  # fmt: skip
        assert not is_verified(checked(wanted, resolver(dns), NOW))
        set_all(dns, wanted)
        found = checked(wanted, resolver(dns), NOW)
        assert {one.state for one in found} == {"ok"}, found
        assert is_verified(found)


def test_a_zone_file_and_terraform_say_the_same_records() -> None:
    long = RECORDS["dkim"].__class__(kind="dkim", name="s.inbox.test", type="TXT", expected="p=" + "A" * 300)
    zone = bind_of([*RECORDS.values(), long])
    assert "inbox.test.\t3600\tIN\tMX\t10 mx.host.test.\n" in zone
    assert '_dmarc.inbox.test.\t3600\tIN\tTXT\t"v=DMARC1; p=none"\n' in zone
    assert f'TXT\t"p={"A" * 253}" "{"A" * 47}"\n' in zone
    terraform = terraform_of(RECORDS.values(), zone="test")
    assert terraform.count("resource ") == len(RECORDS)
    assert 'resource "dns_mx_record_set" "mx_inbox_test" {\n  zone = "test."\n  name = "inbox"\n' in terraform
    assert 'cname = "mx.host.test."' in terraform


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


def made(database: Database, name: str = "inbox.test", *, now: datetime = NOW) -> CheckedDomain:
    with database.write() as connection:
        account_id = ensure_account(connection, now=now)
        if find_domain(connection, account_id, name) is None:
            create_domain(connection, account_id=account_id, name=name, requires_tls=False, now=now)
        one = find_domain(connection, account_id, name)
        assert one is not None
        return prepare(connection, one, hostname=HOST, sealer=establish(connection, KEYRING), now=now)


def test_a_token_and_a_key_are_made_once_and_the_key_lies_sealed(database: Database) -> None:
    one = made(database)
    assert made(database).records == one.records
    with database.read() as connection:
        row = connection.execute(sa.select(domain)).one()
        sealer = establish(connection, KEYRING)
    assert row.dkim_selector == "mc202611"
    assert b"PRIVATE KEY" not in bytes(row.dkim_key)
    place = Place(table="domain", column="dkim_key", row_id=one.id, account_id=one.account_id)
    assert load_pem_private_key(sealer.open(bytes(row.dkim_key), place).encode(), password=None)


def test_a_new_master_key_takes_over_the_dkim_key(database: Database) -> None:
    one = made(database)
    newer = Keyring((b"n" * 32, b"k" * 32))
    assert [reseal(database, newer), reseal(database, newer)] == [1, 0]
    with database.write() as connection:
        sealer = establish(connection, Keyring((b"n" * 32,)))
        assert prepare(connection, one, hostname=HOST, sealer=sealer, now=NOW).records == one.records


def test_a_domain_is_checked_on_schedule_and_what_becomes_worse_is_told_once(
    database: Database, dns: DnsServer
) -> None:
    one = made(database)
    clock = [NOW]
    checks = DomainChecks(database, resolver(dns), lambda: clock[0])
    set_all(dns, one.records)
    assert checks.run() == 1
    assert checks.run() == 0
    clock[0] += timedelta(seconds=RECHECK_PENDING_S + 1)
    assert checks.run() == 0  # verified: once an hour will do
    clock[0] = NOW + timedelta(seconds=RECHECK_S + 1)
    dns.zone["inbox.test"] = "servfail"
    assert checks.run() == 1
    checks = DomainChecks(database, resolver(dns), lambda: clock[0])  # it remembers no failure
    dns.zone["inbox.test"] = {"MX": ["10 other.test"], "TXT": ["v=spf1 a:mx.host.test ~all"], "TTL": 0}
    for _ in range(3):
        clock[0] += timedelta(seconds=RECHECK_PENDING_S + 1)
        assert checks.run() == 1
    with database.read() as connection:
        told = account_events.list_events(connection, one.account_id)
        trail = audit.list_entries(connection, one.account_id)
        found = find_domain(connection, one.account_id, "inbox.test")
    assert [(each.kind, each.detail.get("records")) for each in told] == [
        ("domain.verified", None),
        ("domain.regressed", ["mx"]),
    ]
    assert [(each.action, each.actor) for each in reversed(trail)] == [
        ("domain.verified", "schedule"),
        ("domain.regressed", "schedule"),
    ]
    assert found is not None
    assert not is_verified(found.records)


def test_of_two_checks_at_once_one_is_kept_and_a_domain_nobody_prepared_is_left_alone(
    database: Database, dns: DnsServer
) -> None:
    one = made(database)
    set_all(dns, one.records)
    records = checked(one.records, resolver(dns), NOW)
    with database.write() as connection:
        create_domain(connection, account_id=one.account_id, name="b.test", requires_tls=False, now=NOW)
        assert [each.name for each in due_domains(connection, NOW, limit=9)] == ["inbox.test"]
        assert keep_check(connection, one, records, now=NOW, actor="cli")
        assert not keep_check(connection, one, records, now=NOW + timedelta(seconds=1), actor="cli")
        assert len(account_events.list_events(connection, one.account_id)) == 1


def test_a_policy_names_our_host_and_follows_the_domains_wish_for_tls(database: Database) -> None:
    one = made(database)
    made(database, "*.wild.test")
    with database.write() as connection:
        assert policy_for(connection, "inbox.test") == (
            "version: STSv1\r\nmode: testing\r\nmx: mx.host.test\r\nmax_age: 604800\r\n"
        )
        assert policy_for(connection, "wild.test") is not None
        assert policy_for(connection, "else.test") is None
        connection.execute(sa.update(domain).where(domain.c.id == one.id).values(requires_tls=True))
        assert "mode: enforce" in (policy_for(connection, "inbox.test") or "")
    ids = [
        next(each.expected for each in made(database).records if each.kind == "mta-sts"),
        RECORDS["mta-sts"].expected,
    ]
    assert ids[0] != ids[1]  # senders fetch the policy anew
