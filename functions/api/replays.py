"""Operations on replays of many mails: by time, alias, endpoint, or everything that is dead."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
import sqlalchemy as sa
from mailchute.ids import new_id
from mailchute.replaying import RATE_MAX_PER_S, RATE_PER_S
from mailchute.store import replays
from mailchute.store.listing import list_aliases, list_endpoints
from mailchute.store.replays import AnotherSelection, Replayed, ReplayView, Selection

from .cursor import cursor_of, parts_of
from .operation import Id, Operation, PageQuery, Request, note
from .problem import Problem, not_found

RunId = Annotated[str, msgspec.Meta(pattern="^run_[0-9A-HJKMNP-TV-Z]{26}$")]
Rate = Annotated[float, msgspec.Meta(gt=0, le=RATE_MAX_PER_S)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class ReplaysOrder(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
    rename={"since": "from", "until": "to", "dry_run": "dryRun"},
):  # fmt: skip
    """Which mails are to be replayed: all that hold. Only what has ended is; the rest arrives by itself."""

    run: RunId | None = None  # chosen by the caller: the same order again goes on, and repeats nothing
    since: Moment | None = None  # accepted then or later
    until: Moment | None = None  # accepted before
    alias: Id | None = None  # its id
    endpoint: Id | None = None  # owed to this one, and to this one alone
    # dead: to the endpoints for which they are dead, and to no other
    state: Literal["delivered", "dead", "rejected"] | None = None
    rate: Rate = RATE_PER_S  # mails a second at most
    dry_run: bool = False  # count them and show the first; replay nothing


class ReplayRun(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A run and how far it has come."""

    run: str | None  # None: a dry run
    rate_per_s: float
    created_at: datetime
    total_count: int
    done_count: int
    refused_count: int  # of the done: their retention had ended, or they were erased
    ended_at: datetime | None = None  # left out: it goes on, or was left; ask for it again
    sample: tuple[Replayed, ...] = ()  # dry run: the first of them


class Replays(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of runs, the newest first."""

    items: tuple[ReplayRun, ...]
    next_cursor: str | None


def _begin(request: Request) -> ReplayRun:
    order: ReplaysOrder = request.body
    selection = Selection(
        since=order.since, until=order.until, alias_id=order.alias, endpoint_id=order.endpoint,
        state=order.state,
    )  # fmt: skip
    services = request.services
    if order.dry_run:
        with services.database.read() as connection:
            _check(connection, request, order)
            count, sample = replays.look(connection, request.account_id, selection, now=request.now)
        return ReplayRun(
            run=None, rate_per_s=order.rate, created_at=request.now, total_count=count, done_count=0,
            refused_count=0, sample=tuple(sample),
        )  # fmt: skip
    with services.database.write() as connection:
        _check(connection, request, order)
        try:
            run, is_new = replays.begin(
                connection, request.account_id, selection, run=order.run or new_id("run"),
                rate_per_s=order.rate, now=request.now,
            )  # fmt: skip
        except AnotherSelection as error:
            raise Problem(409, str(error)) from None
        if is_new:
            note(connection, request, "replay.begin", run.run or "", detail=f"{run.total_count} mails")
    if run.ended_at is None:
        services.runs.start(run, services.database, services.connector)
    return _shown(run)


def _check(connection: sa.Connection, request: Request, order: ReplaysOrder) -> None:
    if order.alias is not None and not list_aliases(connection, request.account_id, only=order.alias):
        raise not_found(order.alias)
    if order.endpoint is not None and not list_endpoints(connection, request.account_id, only=order.endpoint):
        raise not_found(order.endpoint)


def _show(request: Request) -> ReplayRun:
    with request.services.database.read() as connection:
        found = replays.run_of(connection, request.account_id, request.path["run"])
    if found is None:
        raise not_found(request.path["run"])
    return _shown(found)


def _list(request: Request) -> Replays:
    query: PageQuery = request.query
    before = parts_of(query.cursor, 1)
    with request.services.database.read() as connection:
        found = replays.list_runs(
            connection, request.account_id, before=before[0] if before else None, limit=query.limit + 1
        )
    page = tuple(_shown(one) for one in found[: query.limit])
    more = len(found) > query.limit
    return Replays(items=page, next_cursor=cursor_of(page[-1].run or "") if more else None)


def _shown(run: ReplayView) -> ReplayRun:
    names = (name for name in ReplayRun.__struct_fields__ if name != "sample")
    return ReplayRun(**{name: getattr(run, name) for name in names})


READ, WRITE = "emails:read", "emails:write"
OPERATIONS = (
    Operation(
        method="POST", path="/replays", scope=WRITE, answers=ReplayRun, body=ReplaysOrder, work=_begin,
        example={"state": "dead", "from": "2026-11-20T00:00:00Z", "rate": 20}, fails=(404, 409, 429),
        does="Deliver many stored mails anew, or go on with a run that was left.",
    ),
    Operation(
        method="GET", path="/replays", scope=READ, answers=Replays, query=PageQuery, work=_list,
        does="List runs over many mails, the newest first.",
    ),
    Operation(
        method="GET", path="/replays/{run}", scope=READ, answers=ReplayRun, work=_show, fails=(404,),
        does="Show how far a run has come.",
    ),
)  # fmt: skip
