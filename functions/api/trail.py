"""The audit trail: who changed what, and when."""

from __future__ import annotations

import msgspec
from mailchute.store import audit
from mailchute.store.audit import AuditEntry

from .cursor import cursor_of, parts_of
from .operation import Operation, PageQuery, Request


class AuditTrail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of the audit trail, the newest entry first."""

    items: tuple[AuditEntry, ...]
    next_cursor: str | None


def _list(request: Request) -> AuditTrail:
    query: PageQuery = request.query
    before = parts_of(query.cursor, 1)
    with request.services.database.read() as connection:
        found = audit.list_entries(
            connection, request.account_id, before=before[0] if before else None, limit=query.limit + 1
        )
    page = tuple(found[: query.limit])
    more = len(found) > query.limit
    return AuditTrail(items=page, next_cursor=cursor_of(page[-1].id) if more else None)


OPERATIONS = (
    Operation(
        method="GET", path="/audit", scope="routes:read", answers=AuditTrail, query=PageQuery, work=_list,
        does="List who changed what, the newest first.",
    ),
)  # fmt: skip
