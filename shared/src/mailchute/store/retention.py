"""Whether anything has outlived its time: what the tables say, and what is told of copies elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

import msgspec
import sqlalchemy as sa

from mailchute.ids import new_id
from mailchute.store import account_events, audit, kept_answers
from mailchute.tables import (
    account,
    account_event,
    attempt,
    audit_entry,
    delivery,
    email,
    event,
    kept_answer,
)

GRACE_S = 3_600  # a round of removing a minute, and whatever is away meanwhile: the metric's alarm too
Standing = Literal["kept", "held", "overdue", "unknown"]


class Finding(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One kind of thing that was looked at."""

    place: str  # "table email", "bucket mail", "stream MAIL"
    count: int  # looked at
    overdue_count: int  # of these: outlived their time by over an hour
    held_count: int = 0  # of these: an investigation needs them
    unknown_count: int = 0  # of these: of mails that the log does not know, or not any more
    sample: tuple[str, ...] = ()  # ids of some that are overdue or unknown


def of_tables(connection: sa.Connection, now: datetime) -> list[Finding]:
    """Return what the tables hold, and what of it should be gone."""
    bound = now - timedelta(seconds=GRACE_S)
    overdue = sa.and_(email.c.expires_at < bound, ~_is_held())
    ids = connection.scalars(sa.select(email.c.id).where(overdue).order_by(email.c.id).limit(5)).all()
    mails = Finding(
        place="table email",
        count=_count(connection, email),
        overdue_count=_count(connection, email, overdue),
        held_count=_count(connection, email, _is_held()),
        sample=tuple(ids),
    )
    rest = [_leftovers(connection, table) for table in (delivery, attempt, event)]
    aged = [
        (account_event, account_event.c.at < bound - timedelta(seconds=account_events.KEPT_S)),
        (kept_answer, kept_answer.c.created_at < bound - kept_answers.KEPT),
        (audit_entry, sa.and_(audit_entry.c.id < _audit_bound(bound), ~_is_account_held())),
    ]
    return [
        mails,
        *rest,
        *(
            Finding(
                place=f"table {table.name}",
                count=_count(connection, table),
                overdue_count=_count(connection, table, is_old),
            )
            for table, is_old in aged
        ),
    ]


def standings_of(connection: sa.Connection, mail_ids: Iterable[str], now: datetime) -> dict[str, Standing]:
    """Return whether a copy of each of these mails may lie anywhere."""
    wanted = list(dict.fromkeys(mail_ids))
    bound = now - timedelta(seconds=GRACE_S)
    found: dict[str, Standing] = dict.fromkeys(wanted, "unknown")
    for begin in range(0, len(wanted), 500):
        rows = connection.execute(
            sa.select(email.c.id, email.c.expires_at, email.c.erased_at, _is_held().label("held")).where(
                email.c.id.in_(wanted[begin : begin + 500])
            )
        )
        for row in rows:
            is_over = row.erased_at is not None or (row.expires_at is not None and row.expires_at < bound)
            found[row.id] = "held" if row.held else "overdue" if is_over else "kept"
    return found


def finding_of(place: str, standings: dict[str, Standing]) -> Finding:
    """Return what was found of copies that lie in one place."""
    wrong = [mail_id for mail_id, one in standings.items() if one in ("overdue", "unknown")]
    return Finding(
        place=place,
        count=len(standings),
        overdue_count=sum(one == "overdue" for one in standings.values()),
        held_count=sum(one == "held" for one in standings.values()),
        unknown_count=sum(one == "unknown" for one in standings.values()),
        sample=tuple(sorted(wrong)[:5]),
    )


def hold_mail(connection: sa.Connection, account_id: str, mail_id: str, held_at: datetime | None) -> bool:
    """Return whether the account has the mail; it is not removed by age from now on, or again for None."""
    changed = connection.execute(
        sa.update(email)
        .where(email.c.id == mail_id, email.c.account_id == account_id, email.c.erased_at.is_(None))
        .values(held_at=held_at)
    )
    return changed.rowcount == 1


def _leftovers(connection: sa.Connection, table: sa.Table) -> Finding:
    """Return what is left of mails that are gone: nobody would ever remove it."""
    lost = ~sa.exists().where(email.c.id == table.c.mail_id)
    ids = connection.scalars(sa.select(table.c.mail_id).where(lost).limit(5)).all()
    return Finding(
        place=f"table {table.name}",
        count=_count(connection, table),
        overdue_count=0,
        unknown_count=_count(connection, table, lost),
        sample=tuple(ids),
    )


def _is_held() -> sa.ColumnElement[bool]:
    of_account = sa.exists().where(account.c.id == email.c.account_id, account.c.held_at.is_not(None))
    return sa.or_(email.c.held_at.is_not(None), of_account)


def _is_account_held() -> sa.ColumnElement[bool]:
    return sa.exists().where(account.c.id == audit_entry.c.account_id, account.c.held_at.is_not(None))


def _audit_bound(bound: datetime) -> str:
    oldest = bound - timedelta(seconds=audit.KEPT_S)
    return new_id("aud", now_ms=int(oldest.timestamp() * 1_000), entropy=bytes(10))


def _count(connection: sa.Connection, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(table).where(*where)) or 0
