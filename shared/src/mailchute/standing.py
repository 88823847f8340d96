"""How an account stands at the moment a mail for it comes in: what it refuses, what its plan leaves it."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from mailchute.blocks import Blocks
from mailchute.quota import Quota, month_of
from mailchute.tables import account, block_entry, plan, usage

ENTRIES_MAX = 10_000  # of one account; what is read every 10 s has to have an end


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the SMTP edge has to know of an account beside its alias."""

    account_id: str
    blocks: Blocks
    quota: Quota
    is_fresh: bool = True  # False: read before the database went away, so it proves nothing now


def standing_of(connection: sa.Connection, account_id: str, now: datetime) -> Standing:
    """Return how this account stands; one that is not there refuses nothing."""
    month = month_of(now)
    found = connection.execute(_PLAN, {"account_id": account_id, "month": month}).first()
    entries = connection.execute(_ENTRIES, {"account_id": account_id}).all()
    quota = Quota(month=month)
    if found is not None:
        quota = Quota(
            month=month,
            mail_count=found.mail_count or 0,
            mails_per_month=found.mails_per_month,
            size_max_octets=found.size_max_octets,
        )
    return Standing(
        account_id=account_id, blocks=Blocks((one.kind, one.value) for one in entries), quota=quota
    )


_ACCOUNT_ID = sa.bindparam("account_id", type_=sa.Text)
_PLAN = (
    sa.select(plan.c.mails_per_month, plan.c.size_max_octets, usage.c.mail_count)
    .select_from(account)
    .outerjoin(plan, plan.c.name == account.c.plan_name)
    .outerjoin(
        usage,
        sa.and_(usage.c.account_id == account.c.id, usage.c.month == sa.bindparam("month", type_=sa.Text)),
    )
    .where(account.c.id == _ACCOUNT_ID)
)
_ENTRIES = (
    sa.select(block_entry.c.kind, block_entry.c.value)
    .where(block_entry.c.account_id == _ACCOUNT_ID)
    .order_by(block_entry.c.id)
    .limit(ENTRIES_MAX)
)
