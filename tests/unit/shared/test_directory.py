"""Whose mail it is, on both databases, with the database there and away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from mailchute import tables
from mailchute.database import Database
from mailchute.directory import Directory
from mailchute.envelope import Path
from mailchute.errors import DirectoryUnavailable, SecretUnreadable
from mailchute.installation import establish
from mailchute.sealing import Keyring, Place

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEYRING = Keyring((b"k" * 32,))


@dataclass
class Clock:
    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Rows:
    """Writes the rows a test wants, without the store."""

    url: str
    database: Database = field(init=False)
    count: int = 0

    def __post_init__(self) -> None:
        self.database = Database(self.url)
        with self.database.write() as connection:
            connection.execute(
                sa.insert(tables.account).values(id="acc_1", name="one", retention_s=3600, created_at=NOW)
            )

    def domain(self, name: str) -> str:
        with self.database.write() as connection:
            connection.execute(
                sa.insert(tables.domain).values(
                    id=f"dom_{name}", account_id="acc_1", name=name, created_at=NOW
                )
            )
        return f"dom_{name}"

    def alias(self, name: str, domain: str, kind: str = "exact", match: str = "", **columns: object) -> str:
        self.count += 1
        identifier = f"als_{self.count}"
        with self.database.write() as connection:
            sealer = establish(connection, KEYRING)
            connection.execute(
                sa.insert(tables.alias).values(
                    id=identifier, account_id="acc_1", domain_id=f"dom_{domain}", name=name, kind=kind,
                    match=match or name.lower(), created_at=NOW, **columns,
                )
            )  # fmt: skip
            place = Place(table="endpoint", column="secret", row_id=f"end_{self.count}", account_id="acc_1")
            connection.execute(
                sa.insert(tables.endpoint).values(
                    id=f"end_{self.count}", account_id="acc_1", alias_id=identifier, position=0,
                    url=f"https://hooks.test/{self.count}", secret=sealer.seal("whsec_abc", place),
                    secret_is_generated=False, enabled_at=NOW, created_at=NOW,
                )
            )  # fmt: skip
        return identifier

    def change(self, statement: sa.Executable) -> None:
        with self.database.write() as connection:
            connection.execute(statement)

    def go_away(self) -> None:
        """Break the database as a missing table does, which both refuse at once."""
        self.change(sa.text("ALTER TABLE domain RENAME TO domain_away"))
        self.change(sa.text("ALTER TABLE endpoint RENAME TO endpoint_away"))


@pytest.fixture
def rows(database_url: str) -> Iterator[Rows]:
    rows = Rows(database_url)
    yield rows
    rows.database.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def directory(rows: Rows, clock: Clock) -> Iterator[Directory]:
    directory = Directory(rows.url, keyring=KEYRING, clock=clock, now=lambda: NOW)
    yield directory
    directory.close()


def test_the_order_is_exact_then_plus_tag_then_pattern_by_priority_then_catch_all(
    rows: Rows, directory: Directory
) -> None:
    rows.domain("inbox.test")
    rows.alias("*", "inbox.test", "catch-all")
    rows.alias("Support", "inbox.test")
    rows.alias("support+vip", "inbox.test")
    rows.alias("order-*", "inbox.test", "glob", "order-.*", priority=1)
    rows.alias("order-1*", "inbox.test", "glob", "order-1.*", priority=2)
    cases = [
        ("support", "Support@inbox.test", None),
        ("SUPPORT", "Support@inbox.test", None),
        ("support+vip", "support+vip@inbox.test", None),
        ("support+Other+x", "Support@inbox.test", "Other+x"),
        ("support+", "Support@inbox.test", None),
        ("order-17", "order-1*@inbox.test", None),
        ("order-27", "order-*@inbox.test", None),
        ("order-27+t", "order-*@inbox.test", "t"),
        ("anything", "*@inbox.test", None),
        ("any\x00thing\udcff", "*@inbox.test", None),
    ]
    for local_part, address, tag in cases:
        found = directory.find(Path(local_part, "inbox.test"))
        assert found is not None, local_part
        assert (found.address, found.tag) == (address, tag), local_part
        assert len(found.endpoints) == 1


def test_what_a_patterns_groups_stood_for_is_told_as_it_was_written(rows: Rows, directory: Directory) -> None:
    rows.domain("inbox.test")
    rows.alias("*-order-?", "inbox.test", "glob", "(.*)-order-(.)")
    rows.alias("/t([0-9]+)(x)?/", "inbox.test", "regex", "t([0-9]+)(x)?")
    for local_part, captures in (("Ann-ORDER-7", ("Ann", "7")), ("T42", ("42", "")), ("t1x", ("1", "x"))):
        found = directory.find(Path(local_part, "inbox.test"))
        assert found is not None
        assert found.captures == captures


def test_a_domain_of_ours_is_found_in_either_spelling_and_the_one_as_written_goes_first(
    rows: Rows, directory: Directory
) -> None:
    rows.domain("köln.test")
    rows.alias("support", "köln.test")
    rows.domain("*.xn--mnchen-3ya.test")
    rows.alias("support", "*.xn--mnchen-3ya.test")
    cases = {
        "köln.test": "support@köln.test",
        "xn--kln-sna.test": "support@köln.test",
        "büro.münchen.test": "support@*.xn--mnchen-3ya.test",
        "xn--bro-hoa.xn--mnchen-3ya.test": "support@*.xn--mnchen-3ya.test",
        "münchen.test": None,
        "xn--\x00.test": None,
    }
    for domain, address in cases.items():
        found = directory.find(Path("support", domain))
        assert (found and found.address) == address, domain
    rows.domain("xn--kln-sna.test")
    rows.alias("sales", "xn--kln-sna.test")
    assert directory.find(Path("support", "büro.köln.test")) is None
    assert directory.find(Path("sales", "xn--kln-sna.test")) is not None
    assert directory.find(Path("sales", "köln.test")) is None


def test_domains_without_postmaster_or_abuse_are_told(rows: Rows, directory: Directory) -> None:
    for name in (
        "none.test",
        "catch.test",
        "both.test",
        "one.test",
        "pattern.test",
        "gone.test",
        "*.wild.test",
    ):
        rows.domain(name)
    rows.domain("empty.test")
    for name in ("none.test", "both.test", "one.test", "pattern.test", "*.wild.test"):
        rows.alias("support", name)
    rows.alias("*", "catch.test", "catch-all")
    for name in ("Postmaster", "abuse"):
        rows.alias(name, "both.test")
    rows.alias("abuse", "one.test")
    rows.alias("*master", "pattern.test", "glob", ".*master")
    rows.alias("support", "gone.test")
    rows.change(sa.update(tables.domain).where(tables.domain.c.name == "gone.test").values(deleted_at=NOW))
    assert directory.unattended() == {
        "*.wild.test": ("postmaster", "abuse"),
        "none.test": ("postmaster", "abuse"),
        "one.test": ("postmaster",),
        "pattern.test": ("abuse",),
    }
    rows.go_away()
    with pytest.raises(DirectoryUnavailable):
        directory.unattended()


def test_what_is_nobodys_is_none(rows: Rows, directory: Directory) -> None:
    rows.domain("inbox.test")
    rows.alias("support", "inbox.test")
    for path in ("supporter@inbox.test", "support@else.test", "support@sub.inbox.test", "\x00@inbox.test"):
        assert directory.find(Path.parse(path)) is None
    assert directory.serves("inbox.test")
    assert not directory.serves("else.test")


def test_a_wildcard_domain_takes_the_names_below_it_but_not_those_served_themselves(
    rows: Rows, directory: Directory
) -> None:
    rows.domain("*.inbox.test")
    rows.domain("own.inbox.test")
    rows.alias("*", "*.inbox.test", "catch-all")
    rows.alias("support", "own.inbox.test")
    found = directory.find(Path("a", "deep.down.inbox.test"))
    assert found is not None
    assert found.address == "*@*.inbox.test"
    assert directory.find(Path("a", "inbox.test")) is None
    assert directory.find(Path("a", "own.inbox.test")) is None
    assert directory.serves("deep.inbox.test")


def test_a_positive_answer_serves_ten_seconds_and_a_negative_one_never(
    rows: Rows, directory: Directory, clock: Clock
) -> None:
    rows.domain("inbox.test")
    path = Path("support", "inbox.test")
    assert directory.find(path) is None
    alias_id = rows.alias("support", "inbox.test")
    assert directory.cached(path) is None
    found = directory.find(path)
    assert found is not None
    assert directory.cached(path) == found
    rows.change(sa.update(tables.alias).where(tables.alias.c.id == alias_id).values(deleted_at=NOW))
    clock.seconds += 10
    assert directory.find(path) == found
    clock.seconds += 0.1
    assert directory.cached(path) is None
    assert directory.find(path) is None


def test_while_the_database_is_away_known_answers_serve_an_hour_and_unknown_ones_are_refused(
    rows: Rows, directory: Directory, clock: Clock
) -> None:
    rows.domain("inbox.test")
    rows.alias("support", "inbox.test")
    path = Path("support", "inbox.test")
    found = directory.find(path)
    assert found is not None
    before = directory.endpoint(found.endpoints[0].id)
    assert directory.serves("inbox.test")
    rows.go_away()
    clock.seconds += 3_600
    assert directory.find(path) == found
    assert directory.serves("inbox.test")
    with pytest.raises(DirectoryUnavailable):
        directory.find(Path("nobody", "inbox.test"))
    with pytest.raises(DirectoryUnavailable):
        directory.serves("else.test")
    clock.seconds += 10
    with pytest.raises(DirectoryUnavailable):
        directory.find(path)
    clock.seconds += 86_400
    assert directory.endpoint(found.endpoints[0].id) == before
    with pytest.raises(DirectoryUnavailable):
        directory.endpoint("end_unknown")


def test_a_database_nobody_listens_on_is_away() -> None:
    directory = Directory("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(DirectoryUnavailable):
        directory.find(Path("support", "inbox.test"))


def test_an_endpoint_comes_with_its_secrets_opened_and_its_state(
    rows: Rows, directory: Directory, clock: Clock
) -> None:
    rows.domain("inbox.test")
    rows.alias("support", "inbox.test")
    found = directory.endpoint("end_1")
    assert found is not None
    assert found.secrets == ("whsec_abc",)
    assert not found.is_disabled
    assert directory.endpoint("end_2") is None
    rows.change(sa.update(tables.endpoint).values(disabled_at=NOW, disabled_reason="gone", deleted_at=NOW))
    clock.seconds += 11
    found = directory.endpoint("end_1")
    assert found is not None
    assert (found.is_disabled, found.disabled_reason, found.is_deleted) == (True, "gone", True)


def test_an_endpoint_that_is_enabled_or_verified_gets_its_mail_at_once(
    rows: Rows, directory: Directory
) -> None:
    rows.domain("inbox.test")
    rows.alias("support", "inbox.test")
    states = {"is_disabled": {"disabled_at": NOW}, "is_unverified": {"wants_challenge": True}}
    for name, holding in states.items():
        plain = {"disabled_at": None, "verified_at": None}
        rows.change(sa.update(tables.endpoint).values(plain | holding))
        fresh = Directory(rows.url, keyring=KEYRING)
        assert getattr(fresh.endpoint("end_1"), name)
        rows.change(sa.update(tables.endpoint).values(disabled_at=None, verified_at=NOW))
        assert not getattr(fresh.endpoint("end_1"), name)
        fresh.close()


def test_two_secrets_sign_until_the_older_ones_time_is_over(rows: Rows) -> None:
    rows.domain("inbox.test")
    rows.alias("support", "inbox.test")
    with rows.database.write() as connection:
        sealer = establish(connection, KEYRING)
        place = Place(table="endpoint", column="previous_secret", row_id="end_1", account_id="acc_1")
        connection.execute(
            sa.update(tables.endpoint).values(
                previous_secret=sealer.seal("whsec_old", place), previous_secret_until=NOW
            )
        )
    for now, secrets in (
        (NOW - timedelta(seconds=1), ("whsec_abc", "whsec_old")),
        (NOW, ("whsec_abc",)),
    ):
        directory = Directory(rows.url, keyring=KEYRING, now=lambda now=now: now)
        found = directory.endpoint("end_1")
        assert found is not None
        assert found.secrets == secrets
        directory.close()


@pytest.mark.parametrize("keyring", [None, Keyring((b"x" * 32,))])
def test_without_the_right_master_key_no_endpoint_is_given(rows: Rows, keyring: Keyring | None) -> None:
    rows.domain("inbox.test")
    rows.alias("support", "inbox.test")
    directory = Directory(rows.url, keyring=keyring)
    with pytest.raises(SecretUnreadable):
        directory.endpoint("end_1")
    directory.close()
