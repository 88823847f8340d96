"""
What attempts tell of their endpoints: since when one only fails, and that it is to be left alone.

A row holds the last success, the first failure after it and the last failure: maxima and a minimum, so that
no order of telling changes them. Disabled is an endpoint that answered 410, or failed for long without one
success between; what happened before its owner last enabled it counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from mailchute.eventlog import event_log
from mailchute.journal import Event
from mailchute.store import audit
from mailchute.store.account_events import AccountEvent
from mailchute.tables import attempt, delivery, endpoint

from .fold import REASON_MAX_CHARACTERS, cut

FAILING_S = 5 * 86_400.0  # Svix and Standard Webhooks, "Disabling endpoints": 5 days
GONE, FAILING = "gone", "failing"  # endpoint.disabled_reason; its owner's own is another
DECLINED, NOWHERE = 422, 0  # what an attempt of mode through tells (mailchute.journal)
ACTOR = "record"  # who disables, in the audit trail

log = event_log("record")


@dataclass(slots=True)
class EndpointRow:
    """What is known of one endpoint, and what these facts make of it."""

    id: str
    account_id: str
    enabled_at: datetime
    disabled_at: datetime | None
    disabled_reason: str | None
    failing_since: datetime | None
    succeeded_at: datetime | None
    failed_at: datetime | None
    failed_reason: str | None

    def succeeded(self, at: datetime) -> bool:
        """Take note of a success; True when a failure after it may be known, but not as the first."""
        if self.succeeded_at is None or at > self.succeeded_at:
            self.succeeded_at = at
        is_over = self.failing_since is not None and self.failing_since <= at
        if is_over:
            self.failing_since = None
        return is_over

    def failed(self, at: datetime, reason: str) -> None:
        if self.failed_at is None or at >= self.failed_at:
            self.failed_at, self.failed_reason = at, cut(reason, REASON_MAX_CHARACTERS)
        self.failing(at)

    def failing(self, at: datetime) -> None:
        """Let it be failing since then at the latest, unless it succeeded or was enabled later."""
        if at < self.enabled_at or (self.succeeded_at is not None and at <= self.succeeded_at):
            return
        if self.failing_since is None or at < self.failing_since:
            self.failing_since = at

    def gone(self, at: datetime) -> None:
        """Disable it as of the earliest 410; what its owner disabled stays as it is."""
        if at < self.enabled_at or self.disabled_reason not in (None, FAILING, GONE):
            return
        if self.disabled_reason != GONE or self.disabled_at is None or at < self.disabled_at:
            self.disabled_at, self.disabled_reason = at, GONE

    def settle(self, failing_s: float) -> None:
        """Disable it as of when it had failed for so long, or undo that: a success was told late."""
        if self.disabled_reason not in (None, FAILING):
            return
        self.disabled_at = self.disabled_reason = None
        if self.failing_since is None or self.failed_at is None:
            return
        over_at = self.failing_since + timedelta(seconds=failing_s)
        if self.failed_at >= over_at:
            self.disabled_at, self.disabled_reason = over_at, FAILING


def write_endpoints(
    connection: sa.Connection, events: Iterable[Event], *, failing_s: float = FAILING_S
) -> list[AccountEvent]:
    """
    Write what these facts, none of them told before, say of their endpoints.

    Call it when the attempts are written: they are asked for the first failure after a late success.

    Returns:
        What their accounts are to be told: one event for each endpoint that is disabled by it.
    """
    attempts = [one for one in events if _is_of_endpoint(one)]
    if not attempts:
        return []
    rows = {
        row.id: EndpointRow(*row)
        for row in connection.execute(_ROWS, {"ids": list({one.endpoint_id for one in attempts})})
    }
    was_disabled = {row.id: row.disabled_at is not None for row in rows.values()}
    for one in sorted(attempts, key=lambda one: (one.at, one.id)):
        if (row := rows.get(one.endpoint_id or "")) is not None:
            _fold(connection, row, one)
    for row in rows.values():
        row.settle(failing_s)
    if rows:
        connection.execute(_WRITE, [_values_of(row) for row in rows.values()])
    changed = [row for row in rows.values() if (row.disabled_at is not None) != was_disabled[row.id]]
    return [_told(connection, row) for row in changed]


def _is_of_endpoint(one: Event) -> bool:
    outcome = one.outcome
    if outcome is None or outcome.result == "refused" or outcome.is_unsent:
        return False
    # In mode through a 422 is an answer: this endpoint is there to decline some mail, or all.
    return not (outcome.status == DECLINED and one.mail_sequence == NOWHERE)


def _fold(connection: sa.Connection, row: EndpointRow, one: Event) -> None:
    outcome = one.outcome
    assert outcome is not None
    if outcome.result == "delivered":
        if row.succeeded(one.at):
            later = connection.scalar(_FAILED_AFTER, {"of_id": row.id, "after": max(one.at, row.enabled_at)})
            if later is not None:
                row.failing(later)
        return
    row.failed(one.at, outcome.reason)
    if outcome.result == GONE:
        row.gone(one.at)


def _told(connection: sa.Connection, row: EndpointRow) -> AccountEvent:
    """Note in the audit trail and the log that it is disabled now, or enabled again."""
    is_disabled = row.disabled_at is not None
    detail = {"reason": row.disabled_reason or "it succeeded"}
    if is_disabled and row.failing_since is not None:
        detail["failingSince"] = row.failing_since.isoformat()
    told = AccountEvent(
        account_id=row.account_id,
        at=row.disabled_at or row.succeeded_at or row.enabled_at,
        kind="endpoint.disabled" if is_disabled else "endpoint.enabled",
        endpoint_id=row.id,
        detail=detail,
    )
    log.warning("endpoint-switched", endpoint_id=row.id, stage=told.kind, reason=detail["reason"])
    audit.note(
        connection,
        account_id=row.account_id,
        now=told.at,
        actor=ACTOR,
        action="endpoint.disable" if is_disabled else "endpoint.enable",
        object_id=row.id,
        detail=f"{detail['reason']}: {row.failed_reason}" if is_disabled else detail["reason"],
    )
    return told


def _values_of(row: EndpointRow) -> dict[str, Any]:
    return {f"the_{name}": getattr(row, name) for name in ("id", *_WRITTEN)}


_WRITTEN = ("disabled_at", "disabled_reason", "failing_since", "succeeded_at", "failed_at", "failed_reason")
_ROWS = (
    sa.select(*(endpoint.c[name] for name in EndpointRow.__dataclass_fields__))
    .where(endpoint.c.id.in_(sa.bindparam("ids", expanding=True)), endpoint.c.deleted_at.is_(None))
    .order_by(endpoint.c.id)
    .with_for_update()  # PostgreSQL: its owner may be enabling it just now
)
_WRITE = (
    sa.update(endpoint)
    .where(endpoint.c.id == sa.bindparam("the_id"))
    .values({name: sa.bindparam(f"the_{name}", type_=endpoint.c[name].type) for name in _WRITTEN})
)
_FAILED_AFTER = (
    sa.select(sa.func.min(attempt.c.started_at))
    .join(delivery, sa.and_(delivery.c.mail_id == attempt.c.mail_id, delivery.c.id == attempt.c.delivery_id))
    .where(
        delivery.c.endpoint_id == sa.bindparam("of_id"),
        delivery.c.state.in_(("failed", "dead")),  # one that was delivered since succeeded later still
        attempt.c.started_at > sa.bindparam("after", type_=attempt.c.started_at.type),
        attempt.c.result.in_(("failed", "gone")),
    )
)
