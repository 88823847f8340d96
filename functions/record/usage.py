"""What accounts use of their plans: mails counted by month, and their owners told once at 80 and at 100 %."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from mailchute.eventlog import event_log
from mailchute.journal import Event
from mailchute.quota import WARNED_SHARE, month_of
from mailchute.store.account_events import AccountEvent, Kind
from mailchute.tables import account, plan, usage

log = event_log("record")


def count_mails(connection: sa.Connection, events: Iterable[Event]) -> list[AccountEvent]:
    """
    Count the mails that these facts, none of them told before, say were accepted.

    Each counts in the month it was accepted in, so no order of telling changes a sum. A resend is no
    `accepted`, and a replay is none either.

    Returns:
        What accounts are to be told, each once in a month: that 80 % of their mails are used, or all.
    """
    accepted: dict[tuple[str, str], list[datetime]] = {}
    for one in events:
        if one.kind == "accepted":
            accepted.setdefault((one.account_id, month_of(one.at)), []).append(one.at)
    if not accepted:
        return []
    connection.execute(
        _ADD,
        [
            {"account_id": account_id, "month": month, "mail_count": len(times)}
            for (account_id, month), times in sorted(accepted.items())
        ],
    )
    asked = {key: sorted({each[place] for each in accepted}) for place, key in enumerate(("ids", "months"))}
    rows = [row for row in connection.execute(_UNTOLD, asked) if (row.account_id, row.month) in accepted]
    return [
        told for row in rows for told in _crossed(connection, row, max(accepted[row.account_id, row.month]))
    ]


def _crossed(connection: sa.Connection, row: sa.Row[tuple[object, ...]], at: datetime) -> list[AccountEvent]:
    """Note what this count has crossed without its owner being told; `at` is when its newest mail came."""
    values = row._mapping
    limit, count = values["mails_per_month"], values["mail_count"]
    crossed: dict[str, Kind] = {}
    if count >= WARNED_SHARE * limit and values["told_80_at"] is None:
        crossed["told_80_at"] = "quota.warned"
    if count >= limit and values["told_100_at"] is None:
        crossed["told_100_at"] = "quota.reached"
    if not crossed:
        return []
    connection.execute(
        sa.update(usage)
        .where(usage.c.account_id == values["account_id"], usage.c.month == values["month"])
        .values(dict.fromkeys(crossed, at))
    )
    for kind in crossed.values():
        log.warning(
            kind, account_id=values["account_id"], count=count, reason=f"{limit} in {values['month']}"
        )
    detail = {"month": values["month"], "mailCount": count, "mailsPerMonth": limit}
    return [
        AccountEvent(account_id=values["account_id"], at=at, kind=kind, detail=detail)
        for kind in crossed.values()
    ]


_ADD = sa.text(
    "INSERT INTO usage (account_id, month, mail_count) VALUES (:account_id, :month, :mail_count) "
    "ON CONFLICT (account_id, month) DO UPDATE SET mail_count = usage.mail_count + excluded.mail_count"
)
_UNTOLD = (
    sa.select(usage, plan.c.mails_per_month)
    .join(account, account.c.id == usage.c.account_id)
    .join(plan, plan.c.name == account.c.plan_name)
    .where(
        usage.c.account_id.in_(sa.bindparam("ids", expanding=True)),
        usage.c.month.in_(sa.bindparam("months", expanding=True)),
        plan.c.mails_per_month.is_not(None),
        sa.or_(usage.c.told_80_at.is_(None), usage.c.told_100_at.is_(None)),
    )
    .order_by(usage.c.account_id, usage.c.month)
)
