"""Plans as data: the file, the tables, and what each flag does."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from mailchute.database import Database
from mailchute.directory import Directory
from mailchute.envelope import Path as MailPath
from mailchute.errors import BadSetting
from mailchute.installation import establish
from mailchute.plan_file import read_plans
from mailchute.plans import Plan
from mailchute.sealing import Keyring
from mailchute.store import account_settings, routing
from mailchute.store.accounts import ensure_account
from mailchute.store.plans import apply_plans, check_permission, list_plans, plan_of
from mailchute.store.refusals import OverPlan, Taken
from mailchute.store.wanted import Wanted, WantedAlias, WantedDomain, WantedEndpoint
from mailchute.tables import domain

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SAMPLE = Path(__file__).parents[3] / "docs" / "plans.yml"
KEYRING = Keyring((b"k" * 32,))
ALL = ("spam.analysis", "webhooks.signing", "storage.s3", "retention.custom", "compliance.data_residency")


def test_the_sample_says_what_the_product_texts_say() -> None:
    plans = {one.name: one for one in read_plans(SAMPLE)}
    assert list(plans) == ["free", "maker", "pro", "business", "platform", "enterprise"]
    free = plans["free"]
    assert (free.mails_per_month, free.permissions, free.retention_s) == (100, (), 3_600)
    assert free.retention_max_s == free.retention_s
    assert {"webhooks.signing", "storage.s3", "spam.analysis"} <= set(plans["maker"].permissions)
    assert plans["maker"].retention_s == 3_600
    assert (plans["business"].aliases_max, plans["business"].retention_s) == (25, 86_400)
    with_custom = [name for name, one in plans.items() if "retention.custom" in one.permissions]
    assert with_custom == ["business", "platform", "enterprise"]
    resident = [name for name, one in plans.items() if "compliance.data_residency" in one.permissions]
    assert resident == ["platform", "enterprise"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plans: {}", "missing required field `version`"),
        ("version: 2\nplans: {}", "version"),
        ("version: 1\nplans: {free: {mails: 3}}", "unknown field `mails`"),
        ("version: 1\nplans: {free: {mails_per_month: -1}}", "mails_per_month"),
        ("version: 1\nplans: {Free: {}}", "matching regex"),
        ("version: 1\nplans: {free: {features: [gold]}}", "gold"),
        ("version: 1\nplans: {free: {retention: soon}}", "free.retention: 'soon' is not understood"),
        ("version: 1\nplans: {free: {size: big}}", "free.size"),
        (
            "version: 1\nplans: {free: {retention: 24h, retention_max: 1h}}",
            "expected retention ≤ retention_max",
        ),
        ("version: 1\nplans: {free: {retention_max: 366d}}", "≤ 365d"),
        ("version: 1\nplans: {free: {retention_max: 24h}}", "needs the feature retention.custom"),
        ("version: 1\nplans: {", "not YAML"),
        ("[" * 100_000, "not YAML"),
        ("\x00", "not YAML"),
    ],
)
def test_a_file_that_cannot_be_used_says_why_and_where(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "plans.yml"
    file.write_text(text)
    with pytest.raises(BadSetting) as refused:
        read_plans(file)
    assert said in str(refused.value)
    assert str(file) in str(refused.value)


def test_plans_are_applied_changed_and_listed_and_others_stay(database_url: str) -> None:
    database, sample = Database(database_url), read_plans(SAMPLE)
    with database.write() as connection:
        assert apply_plans(connection, sample) == [one.name for one in sample]
        assert apply_plans(connection, sample) == []
        changed = Plan(name="free", mails_per_month=50)
        assert apply_plans(connection, [changed]) == ["free"]
        assert {one.name for one in list_plans(connection)} == {one.name for one in sample}
        account_id = account_settings.create_account(connection, name="a", plan_name="free", now=NOW)
        assert plan_of(connection, account_id) == changed
        with pytest.raises(Taken):
            account_settings.create_account(connection, name="a", plan_name=None, now=NOW)
        with pytest.raises(LookupError):
            account_settings.set_plan(connection, account_id, "gold")
        account_settings.set_plan(connection, account_id, "business")
        assert account_settings.account_of(connection, account_id, NOW).retention_s == 86_400
        account_settings.set_retention(connection, account_id, 30 * 86_400)
        apply_plans(connection, [Plan(name="business", retention_max_s=7_200, retention_s=3_600)])
        assert account_settings.account_of(connection, account_id, NOW).retention_s == 7_200
        account_settings.set_plan(connection, account_id, None)
        assert account_settings.account_of(connection, account_id, NOW).plan is None
        account_settings.set_retention(connection, account_id, 365 * 86_400)
    database.close()


@pytest.mark.parametrize("permission", ALL)
def test_what_a_plan_does_not_grant_is_refused_by_its_name(database_url: str, permission: str) -> None:
    database = Database(database_url)
    granted = tuple(one for one in ALL if one != permission)
    with database.write() as connection:
        apply_plans(connection, [Plan(name="some", permissions=granted)])  # type: ignore[arg-type]
        account_id = account_settings.create_account(connection, name="a", plan_name="some", now=NOW)
        for one in granted:
            check_permission(connection, account_id, one)  # type: ignore[arg-type]
        with pytest.raises(OverPlan, match=permission):
            check_permission(connection, account_id, permission)  # type: ignore[arg-type]
        check_permission(connection, ensure_account(connection, now=NOW), permission)  # type: ignore[arg-type]
    database.close()


@pytest.mark.parametrize(
    ("permissions", "is_managed", "spam", "storage", "signed"),
    [
        (None, False, True, True, True),
        (None, True, False, True, True),
        ((), False, False, False, False),
        (("spam.analysis",), False, True, False, False),
        (("storage.s3",), False, False, True, False),
        (("webhooks.signing",), False, False, False, True),
        (ALL, False, True, True, True),
    ],
)
def test_each_flag_has_its_effect_on_the_mail_of_an_alias(
    database_url: str,
    permissions: tuple[str, ...] | None,
    is_managed: bool,
    spam: bool,
    storage: bool,
    signed: bool,
) -> None:
    database = Database(database_url)
    endpoint = WantedEndpoint(url="https://a.example", secret="ours", signs_v1a=True)
    alias = WantedAlias(name="one", kind="exact", match="one", endpoints=(endpoint,))
    with database.write() as connection:
        account_id = ensure_account(connection, now=NOW)
        routing.apply(
            connection, Wanted(domains=(WantedDomain(name="a.test", aliases=(alias,)),)),
            account_id=account_id, sealer=establish(connection, KEYRING), now=NOW, actor="cli",
        )  # fmt: skip
        connection.execute(sa.update(domain).values(is_managed=is_managed))
        if permissions is not None:
            apply_plans(connection, [Plan(name="some", permissions=permissions)])  # type: ignore[arg-type]
            account_settings.set_plan(connection, account_id, "some")
    directory = Directory(database_url, keyring=KEYRING)
    found = directory.find(MailPath("one", "a.test"))
    assert found is not None
    assert (found.spam_enabled, found.has_storage) == (spam, storage)
    kept = directory.endpoint(found.endpoints[0].id)
    assert kept is not None
    assert (kept.secrets, kept.signs_v1a) == (("ours",) if signed else (), signed)
    directory.close()
    database.close()
