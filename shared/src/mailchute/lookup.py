"""The directory's questions in SQL: each takes a connection and returns a value of ours."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
import re2
import sqlalchemy as sa

from mailchute.alias import AliasSnapshot, EndpointSnapshot
from mailchute.envelope import Path
from mailchute.kept_rules import rules_for
from mailchute.names import parents_of, spellings_of
from mailchute.plans import allows
from mailchute.tables import account, alias, domain, domain_rule, endpoint, plan, rule

LABELS_MAX = 16  # of a forward-path's domain that are tried as wildcards


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An alias that matches a mailbox."""

    alias_id: str
    address: str  # as its owner wrote it
    kind: str  # exact, glob, regex, catch-all
    priority: int


def alias_of(connection: sa.Connection, path: Path) -> AliasSnapshot | None:
    """Return the alias of this mailbox: exact, plus-tag, pattern by priority, catch-all."""
    order = _candidates(connection, path)
    if not order:
        return None
    chosen = order[0]
    local_part = path.local_part.lower()
    _, plus, tag = local_part.partition("+")
    is_whole = chosen.kind == "exact" and chosen.match == local_part
    written_tag = path.local_part.partition("+")[2]
    return _snapshot(
        connection,
        chosen,
        tag=written_tag if plus and tag and not is_whole else None,
        captures=_captures(chosen.match, path.local_part) if chosen.kind in ("glob", "regex") else (),
    )


def candidates_of(connection: sa.Connection, path: Path) -> list[Candidate]:
    """Return the aliases that match this mailbox; the first is the one whose mail it is."""
    return [
        Candidate(
            alias_id=row.alias_id, address=f"{row.name}@{row.domain}", kind=row.kind, priority=row.priority
        )
        for row in _candidates(connection, path)
    ]


def _candidates(connection: sa.Connection, path: Path) -> list[Any]:
    local_part = path.local_part.lower()  # 5321 leaves case to the destination: ours ignores it
    untagged, plus, _ = local_part.partition("+")
    domains = domain_candidates(path.domain)
    rows = connection.execute(
        _CANDIDATES,
        {"domains": domains, "matches": [_storable(local_part), _storable(untagged)]},
    ).all()
    if not rows:
        return []
    nearest = min((row.domain for row in rows), key=domains.index)
    rows = [row for row in rows if row.alias_id and row.domain == nearest]
    return [
        *(row for row in rows if row.kind == "exact" and row.match == local_part),
        *(row for row in rows if row.kind == "exact" and plus and row.match == untagged),
        *sorted(
            (row for row in rows if row.kind in ("glob", "regex") and _matches(row.match, local_part)),
            key=lambda row: (-row.priority, row.alias_id),
        ),
        *(row for row in rows if row.kind == "catch-all"),
    ]


def domain_candidates(name: str) -> list[str]:
    """Return the names a domain may be served under, the nearest first: itself, then `*.` and each parent."""
    spelt = [parents_of(spelling)[:LABELS_MAX] for spelling in spellings_of(_storable(name))]
    found = [
        parent if depth == 0 else f"*.{parent}"
        for depth, parents in enumerate(zip(*spelt, strict=False))
        for parent in parents
    ]
    return list(dict.fromkeys(found))


def serves(connection: sa.Connection, name: str) -> bool:
    """Return whether this domain has aliases of ours."""
    return connection.execute(_SERVES, {"domains": domain_candidates(name)}).first() is not None


def _snapshot(
    connection: sa.Connection, row: Any, *, tag: str | None, captures: tuple[str, ...]
) -> AliasSnapshot:
    endpoints = connection.execute(_ENDPOINTS, {"alias_id": row.alias_id}).all()
    endpoint_ids = {one.url: one.id for one in endpoints}
    return AliasSnapshot(
        account_id=row.account_id,
        domain_id=row.domain_id,
        alias_id=row.alias_id,
        address=f"{row.name}@{row.domain}",
        tag=tag,
        endpoints=tuple(
            EndpointSnapshot(id=one.id, format=one.format, include=tuple(one.include)) for one in endpoints
        ),
        rules=rules_for(connection, row.alias_id, row.domain_id, endpoint_ids) if row.has_rules else (),
        mode=row.mode,
        inline_limit_octets=row.inline_limit_octets,
        body_limit_octets=row.body_limit_octets,
        # Product text 2: system aliases "do not include spam analysis".
        spam_enabled=row.spam_enabled and not row.is_managed and allows(row.permissions, "spam.analysis"),
        spam_threshold=row.spam_threshold,
        retention_s=row.retention_s,
        captures=captures,
        requires_tls=row.requires_tls,
        has_storage=allows(row.permissions, "storage.s3"),
        storage_connection_id=row.storage_connection_id,
    )


@lru_cache(maxsize=4096)
def _pattern(text: str) -> Any:
    return re2.compile(f"(?i){text}")


def _matches(pattern: str, local_part: str) -> bool:
    return _pattern(pattern).fullmatch(_storable(local_part)) is not None


def _captures(pattern: str, local_part: str) -> tuple[str, ...]:
    """Return what the groups stood for, as the sender wrote it."""
    match = _pattern(pattern).fullmatch(_storable(local_part))
    return tuple(group or "" for group in match.groups()) if match else ()


def _storable(text: str) -> str:
    """Return the text without what no database column holds: it then equals nothing that is stored."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


_CANDIDATES = (
    sa.select(
        domain.c.id.label("domain_id"),
        domain.c.name.label("domain"),
        domain.c.requires_tls,
        domain.c.is_managed,
        account.c.id.label("account_id"),
        account.c.retention_s,
        account.c.storage_connection_id,
        plan.c.permissions,
        alias.c.id.label("alias_id"),
        alias.c.name,
        alias.c.kind,
        alias.c.match,
        alias.c.priority,
        alias.c.mode,
        alias.c.inline_limit_octets,
        alias.c.body_limit_octets,
        alias.c.spam_enabled,
        alias.c.spam_threshold,
        # Most aliases have none: asking for them is one trip in three.
        sa.or_(
            sa.exists().where(rule.c.alias_id == alias.c.id),
            sa.exists().where(domain_rule.c.domain_id == domain.c.id),
        ).label("has_rules"),
    )
    .select_from(domain)
    .join(account, account.c.id == domain.c.account_id)
    .outerjoin(plan, plan.c.name == account.c.plan_name)
    # Outer: a domain that serves a name itself hides the wildcard above it, whatever its aliases are.
    .outerjoin(
        alias,
        sa.and_(
            alias.c.domain_id == domain.c.id,
            alias.c.deleted_at.is_(None),
            sa.or_(alias.c.kind != "exact", alias.c.match.in_(sa.bindparam("matches", expanding=True))),
        ),
    )
    .where(
        domain.c.name.in_(sa.bindparam("domains", expanding=True)),
        domain.c.deleted_at.is_(None),
    )
)
_ENDPOINTS = (
    sa.select(endpoint.c.id, endpoint.c.url, endpoint.c.format, endpoint.c.include)
    .where(endpoint.c.alias_id == sa.bindparam("alias_id"), endpoint.c.deleted_at.is_(None))
    .order_by(endpoint.c.position, endpoint.c.id)
)
_SERVES = (
    sa.select(alias.c.id)
    .join(domain, domain.c.id == alias.c.domain_id)
    .where(
        domain.c.name.in_(sa.bindparam("domains", expanding=True)),
        domain.c.deleted_at.is_(None),
        alias.c.deleted_at.is_(None),
    )
    .limit(1)
)
