"""
Runs over many mails: which they are, decided once, and how far each run has come.

A run is what had ended before it began, in the order of the mails' ids; what it has done is all up to one id.
So a run that was killed goes on from there, and what it does itself never becomes part of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from mailchute.commands import Command, replay_command
from mailchute.ids import new_id
from mailchute.tables import delivery, email, replay

SAMPLE_COUNT = 10
NO_ENTROPY = bytes(10)


class Selection(
    msgspec.Struct, frozen=True, kw_only=True, rename={"since": "from", "until": "to", "alias_id": "alias"}
):
    """Which mails: all that hold. Only what has ended is replayed; the rest arrives by itself."""

    since: datetime | None = None  # accepted then or later
    until: datetime | None = None  # accepted before
    alias_id: str | None = None
    endpoint_id: str | None = msgspec.field(default=None, name="endpoint")  # and to this one alone
    # dead: to the endpoints for which it is dead, and to no other
    state: Literal["delivered", "dead", "rejected"] | None = None


class ReplayView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A run, and how far it has come."""

    run: str | None  # None: it was not begun, only looked at
    selection: Selection
    rate_per_s: float
    created_at: datetime
    total_count: int
    done_count: int = 0
    refused_count: int = 0  # of these: their retention had ended, or they were erased
    ended_at: datetime | None = None


class Replayed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One mail of a selection, as a dry run shows it."""

    id: str
    state: str
    accepted_at: datetime | None
    recipient: str | None
    subject: str | None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The next few mails of a run."""

    up_to: str  # the last mail's id
    count: int
    orders: tuple[Command, ...]  # one for each mail and, where not all are meant, endpoint


class AnotherSelection(ValueError):
    """The run exists, and is of other mails or another account."""


def look(
    connection: sa.Connection, account_id: str, selection: Selection, *, now: datetime
) -> tuple[int, list[Replayed]]:
    """Return how many mails a run beginning now would have, and the first of them."""
    mails = _mails(account_id, selection, now)
    count = connection.scalar(sa.select(sa.func.count()).select_from(mails.subquery())) or 0
    sample = connection.execute(mails.order_by(email.c.id).limit(SAMPLE_COUNT))
    names = Replayed.__struct_fields__
    return count, [Replayed(**{name: getattr(row, name) for name in names}) for row in sample]


def begin(
    connection: sa.Connection,
    account_id: str,
    selection: Selection,
    *,
    run: str,
    rate_per_s: float,
    now: datetime,
) -> tuple[ReplayView, bool]:
    """
    Return the run and whether it was begun now; one that is there goes on as it was begun.

    Raises:
        AnotherSelection: It is there, and is not this.
    """
    row = connection.execute(sa.select(replay).where(replay.c.id == run)).first()
    plain = msgspec.to_builtins(selection)
    if row is not None:
        if row.account_id != account_id or row.selection != plain:
            raise AnotherSelection(f"{run} is a run of other mails; choose another id")
        return _view(row), False
    count, _ = look(connection, account_id, selection, now=now)
    connection.execute(
        sa.insert(replay).values(
            id=run, account_id=account_id, selection=plain, rate_per_s=rate_per_s, created_at=now,
            total_count=count,
        )
    )  # fmt: skip
    return _view(connection.execute(sa.select(replay).where(replay.c.id == run)).one()), True


def run_of(connection: sa.Connection, account_id: str, run: str) -> ReplayView | None:
    """Return the account's run of this id."""
    ours = sa.select(replay).where(replay.c.id == run, replay.c.account_id == account_id)
    row = connection.execute(ours).first()
    return None if row is None else _view(row)


def list_runs(
    connection: sa.Connection, account_id: str, *, before: str | None = None, limit: int = 50
) -> list[ReplayView]:
    """Return a page of the account's runs, the newest first."""
    query = sa.select(replay).where(replay.c.account_id == account_id)
    if before is not None:
        query = query.where(replay.c.id < before)
    return [_view(row) for row in connection.execute(query.order_by(replay.c.id.desc()).limit(limit))]


def next_page(connection: sa.Connection, run: str, *, limit: int) -> tuple[str, Page | None]:
    """Return up to which mail the run is done, and what comes next; None: nothing more."""
    row = connection.execute(sa.select(replay).where(replay.c.id == run)).one()
    if row.ended_at is not None:
        return row.at_mail_id, None
    selection = msgspec.convert(row.selection, Selection)
    mails = connection.execute(
        _mails(row.account_id, selection, row.created_at)
        .where(email.c.id > row.at_mail_id)
        .order_by(email.c.id)
        .limit(limit)
    ).all()
    if not mails:
        return row.at_mail_id, None
    owed = _dead_at(connection, [one.id for one in mails]) if selection.state == "dead" else {}
    orders = [order for one in mails for order in _orders(run, one, selection, owed.get(one.id))]
    return row.at_mail_id, Page(up_to=mails[-1].id, count=len(mails), orders=tuple(orders))


def advance(connection: sa.Connection, run: str, done: Page, *, after: str, refused_count: int) -> None:
    """Note that a page is done, unless another who works on the same run was faster."""
    connection.execute(
        sa.update(replay)
        .where(replay.c.id == run, replay.c.at_mail_id == after)
        .values(
            at_mail_id=done.up_to,
            done_count=replay.c.done_count + done.count,
            refused_count=replay.c.refused_count + refused_count,
        )
    )


def end(connection: sa.Connection, run: str, now: datetime) -> None:
    """Note that nothing of it is left."""
    unended = sa.update(replay).where(replay.c.id == run, replay.c.ended_at.is_(None))
    connection.execute(unended.values(ended_at=now))


def _mails(account_id: str, selection: Selection, began_at: datetime) -> sa.Select[Any]:
    query = sa.select(
        email.c.id, email.c.state, email.c.accepted_at, email.c.recipient, email.c.subject,
        email.c.mail_sequence, email.c.verdict,
    ).where(
        email.c.account_id == account_id,
        email.c.erased_at.is_(None),
        email.c.mail_sequence > 0,  # mode through keeps no copy
        email.c.ended_at <= began_at,
    )  # fmt: skip
    if selection.state is not None:
        query = query.where(email.c.state == selection.state)
    if selection.alias_id is not None:
        query = query.where(email.c.alias_id == selection.alias_id)
    # Ids sort by time, and there is an index on them.
    if selection.since is not None:
        query = query.where(email.c.id >= _first_id_at(selection.since))
    if selection.until is not None:
        query = query.where(email.c.id < _first_id_at(selection.until))
    if selection.endpoint_id is not None:
        theirs = sa.select(delivery.c.mail_id).where(delivery.c.endpoint_id == selection.endpoint_id)
        if selection.state == "dead":
            theirs = theirs.where(delivery.c.state == "dead")
        query = query.where(email.c.id.in_(theirs))
    return query


def _dead_at(connection: sa.Connection, mail_ids: list[str]) -> dict[str, tuple[set[str], set[str]]]:
    """Return for each mail the endpoints it was owed to last, and those of them where it is dead."""
    newest: dict[tuple[str, str], tuple[str, str]] = {}
    for row in connection.execute(
        sa.select(delivery.c.mail_id, delivery.c.endpoint_id, delivery.c.run, delivery.c.state).where(
            delivery.c.mail_id.in_(mail_ids)
        )
    ):
        key, value = (row.mail_id, row.endpoint_id), (row.run, row.state)
        newest[key] = max(newest.get(key, value), value)
    found: dict[str, tuple[set[str], set[str]]] = {}
    for (mail_id, endpoint_id), (_, state) in newest.items():
        everyone, dead = found.setdefault(mail_id, (set(), set()))
        everyone.add(endpoint_id)
        if state == "dead":
            dead.add(endpoint_id)
    return found


def _orders(
    run: str, mail: Any, selection: Selection, owed: tuple[set[str], set[str]] | None
) -> Iterable[Command]:
    everyone, dead = owed or (set(), set())
    wanted: Iterable[str | None] = (selection.endpoint_id,)
    if selection.state == "dead" and mail.verdict != "dead":  # else it died before it was owed to any
        if selection.endpoint_id is not None:
            dead = dead & {selection.endpoint_id}
        wanted = (None,) if dead == everyone else sorted(dead)
    return (replay_command(mail.id, mail.mail_sequence, run=run, endpoint_id=each) for each in wanted)


def _first_id_at(moment: datetime) -> str:
    return new_id("msg", now_ms=int(moment.timestamp() * 1_000), entropy=NO_ENTROPY)


def _view(row: Any) -> ReplayView:
    return ReplayView(
        run=row.id,
        selection=msgspec.convert(row.selection, Selection),
        **{
            name: getattr(row, name)
            for name in ReplayView.__struct_fields__
            if name not in ("run", "selection")
        },
    )
