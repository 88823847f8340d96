"""What a domain needs in the DNS, and what was found: kept beside it, told when it changes."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from mailchute.domain_check import regressed
from mailchute.domain_records import Record, is_verified, policy_of
from mailchute.store import account_events, audit
from mailchute.tables import domain

RECHECK_S = 3_600  # of a domain whose records are all there
RECHECK_PENDING_S = 300  # of one that waits for them
CHECKER = "schedule"  # who the audit trail names


class CheckedDomain(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A domain with its records."""

    id: str
    account_id: str
    name: str
    requires_tls: bool
    checked_at: datetime | None  # None: never
    records: tuple[Record, ...]  # (): nobody asked what it needs


def find_domain(connection: sa.Connection, account_id: str, name: str) -> CheckedDomain | None:
    """Return the account's domain of this name."""
    mine = sa.and_(domain.c.account_id == account_id, domain.c.name == name.lower())
    return next(iter(_domains(connection, mine)), None)


def list_checked(connection: sa.Connection, account_id: str) -> list[CheckedDomain]:
    """Return the account's domains by name."""
    return _domains(connection, domain.c.account_id == account_id)


def due_domains(connection: sa.Connection, now: datetime, *, limit: int) -> list[CheckedDomain]:
    """Return domains whose records are to be looked up again, the longest due first."""
    pending = domain.c.checked_at < now - timedelta(seconds=RECHECK_PENDING_S)
    found = _domains(
        connection,
        sa.and_(domain.c.ownership_token.is_not(None), sa.or_(domain.c.checked_at.is_(None), pending)),
        sa.case((domain.c.checked_at.is_(None), 0), else_=1), domain.c.checked_at,
    )  # fmt: skip
    latest = now - timedelta(seconds=RECHECK_S)
    due = [one for one in found if _is_pending(one) or one.checked_at is None or one.checked_at < latest]
    return due[:limit]


def policy_for(connection: sa.Connection, name: str) -> str | None:
    """Return the MTA-STS policy of a domain of ours, `*.` before it or not; None: it has none."""
    for one in _domains(connection, domain.c.name.in_((name, f"*.{name}")), sa.func.length(domain.c.name)):
        for record in one.records:
            if record.kind == "mx":
                return policy_of(record.expected.split()[1], requires_tls=one.requires_tls)
    return None


def keep_check(
    connection: sa.Connection, one: CheckedDomain, records: tuple[Record, ...], *, now: datetime, actor: str
) -> bool:
    """
    Keep what a check found, and tell what became better or worse; return whether it was kept.

    It is not where another check, or a change of the domain, came between.

    Args:
        one: The domain as it was read before the check.
    """
    before = (
        domain.c.checked_at.is_(None) if one.checked_at is None else domain.c.checked_at == one.checked_at
    )
    kept = connection.execute(
        sa.update(domain)
        .where(domain.c.id == one.id, domain.c.deleted_at.is_(None), before)
        .values(records=msgspec.to_builtins(records), checked_at=now)
    )
    if kept.rowcount != 1:
        return False
    worse, was_verified, is_now = (
        regressed(one.records, records),
        is_verified(one.records),
        is_verified(records),
    )
    kinds = [each.kind for each in worse]
    if worse:
        _tell(connection, one, now, actor, "domain.regressed", {"domain": one.name, "records": kinds})
    if is_now and not was_verified:
        _tell(connection, one, now, actor, "domain.verified", {"domain": one.name})
    return True


def _is_pending(one: CheckedDomain) -> bool:
    """Say whether a record is waited for, or the DNS did not answer about one."""
    return not is_verified(one.records) or any(each.state == "temperror" for each in one.records)


def _tell(
    connection: sa.Connection,
    one: CheckedDomain,
    now: datetime,
    actor: str,
    kind: account_events.Kind,
    detail: dict[str, object],
) -> None:
    kinds = detail.get("records")
    audit.note(
        connection, account_id=one.account_id, now=now, actor=actor, action=kind, object_id=one.id,
        detail=one.name + (f" ({', '.join(kinds)})" if isinstance(kinds, list) else ""),
    )  # fmt: skip
    account_events.add(
        connection, account_events.AccountEvent(account_id=one.account_id, at=now, kind=kind, detail=detail)
    )


def _domains(
    connection: sa.Connection, where: sa.ColumnElement[bool], *order: sa.ColumnElement[object]
) -> list[CheckedDomain]:
    rows = connection.execute(
        sa.select(
            domain.c.id, domain.c.account_id, domain.c.name, domain.c.requires_tls, domain.c.checked_at,
            domain.c.records,
        )
        .where(domain.c.deleted_at.is_(None), where)
        .order_by(*(order or (domain.c.name,)))
    )  # fmt: skip
    return [
        CheckedDomain(
            id=row.id, account_id=row.account_id, name=row.name, requires_tls=row.requires_tls,
            checked_at=row.checked_at, records=msgspec.convert(row.records or [], tuple[Record, ...]),
        )
        for row in rows
    ]  # fmt: skip
