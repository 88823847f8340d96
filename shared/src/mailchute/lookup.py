"""The directory's questions in SQL: each takes a connection and returns a value of ours."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
import re2
import sqlalchemy as sa

from mailchute.alias import AliasSnapshot, EndpointSnapshot, Rule
from mailchute.endpoint import Endpoint
from mailchute.envelope import Path
from mailchute.sealing import Place, Sealer
from mailchute.tables import account, alias, domain, endpoint, rule

LABELS_MAX = 16  # of a forward-path's domain that are tried as wildcards


def alias_of(connection: sa.Connection, path: Path) -> AliasSnapshot | None:
    """Return the alias of this mailbox: exact, plus-tag, pattern by priority, catch-all."""
    local_part = path.local_part.lower()  # 5321 leaves case to the destination: ours ignores it
    untagged, plus, tag = local_part.partition("+")
    rows = connection.execute(
        _CANDIDATES,
        {
            "domains": domain_candidates(path.domain),
            "matches": [_storable(local_part), _storable(untagged)],
        },
    ).all()
    if not rows:
        return None
    nearest = max(len(row.domain) - row.domain.startswith("*") for row in rows)
    rows = [row for row in rows if row.alias_id and len(row.domain) - row.domain.startswith("*") == nearest]
    order = [
        *(row for row in rows if row.kind == "exact" and row.match == local_part),
        *(row for row in rows if row.kind == "exact" and plus and row.match == untagged),
        *sorted(
            (row for row in rows if row.kind in ("glob", "regex") and _matches(row.match, local_part)),
            key=lambda row: (-row.priority, row.alias_id),
        ),
        *(row for row in rows if row.kind == "catch-all"),
    ]
    if not order:
        return None
    chosen = order[0]
    is_whole = chosen.kind == "exact" and chosen.match == local_part
    written_tag = path.local_part.partition("+")[2]
    return _snapshot(
        connection,
        chosen,
        tag=written_tag if plus and tag and not is_whole else None,
        captures=_captures(chosen.match, path.local_part) if chosen.kind in ("glob", "regex") else (),
    )


def domain_candidates(name: str) -> list[str]:
    """Return the names a domain may be served under: itself, then `*.` and each parent."""
    labels = _storable(name).lower().rstrip(".").split(".")
    parents = [".".join(labels[index:]) for index in range(1, min(len(labels), LABELS_MAX))]
    return [".".join(labels), *(f"*.{parent}" for parent in parents)]


def serves(connection: sa.Connection, name: str) -> bool:
    """Return whether this domain has aliases of ours."""
    return connection.execute(_SERVES, {"domains": domain_candidates(name)}).first() is not None


def endpoint_of(
    connection: sa.Connection, endpoint_id: str, sealer: Sealer, now: datetime
) -> Endpoint | None:
    """
    Return the endpoint, its secrets opened; None when there never was one.

    Raises:
        SecretUnreadable: A secret does not open.
    """
    row = connection.execute(_ENDPOINT, {"id": _storable(endpoint_id)}).first()
    if row is None:
        return None

    def opened(column: str) -> str | None:
        sealed = getattr(row, column)
        return None if sealed is None else sealer.open(bytes(sealed), place_of(row, column))

    secrets = [opened("secret")]
    if row.previous_secret_until is not None and row.previous_secret_until > now:
        secrets.append(opened("previous_secret"))
    headers = opened("headers")
    return Endpoint(
        id=row.id,
        account_id=row.account_id,
        url=row.url,
        secrets=tuple(secret for secret in secrets if secret is not None),
        format=row.format,
        include=tuple(row.include),
        headers=msgspec.json.decode(headers, type=tuple[tuple[str, str], ...]) if headers else (),
        basic_auth=opened("basic_auth"),
        signing_key=opened("signing_key"),
        body_limit_octets=row.body_limit_octets,
        is_disabled=row.disabled_at is not None,
        disabled_reason=row.disabled_reason,
        is_deleted=row.deleted_at is not None,
        signs_v1a=row.signs_v1a,
        client_certificate=opened("client_certificate"),
        rate_per_s=row.rate_per_s,
        is_unverified=row.wants_challenge and row.verified_at is None,
    )


def place_of(row: Any, column: str) -> Place:
    """Return where a sealed column of this endpoint's row stands."""
    return Place(table="endpoint", column=column, row_id=row.id, account_id=row.account_id)


def _snapshot(
    connection: sa.Connection, row: Any, *, tag: str | None, captures: tuple[str, ...]
) -> AliasSnapshot:
    endpoints = connection.execute(_ENDPOINTS, {"alias_id": row.alias_id})
    rules = connection.execute(_RULES, {"alias_id": row.alias_id})
    return AliasSnapshot(
        account_id=row.account_id,
        domain_id=row.domain_id,
        alias_id=row.alias_id,
        address=f"{row.name}@{row.domain}",
        tag=tag,
        endpoints=tuple(
            EndpointSnapshot(id=one.id, format=one.format, include=tuple(one.include)) for one in endpoints
        ),
        rules=tuple(Rule(when=one.condition, then=one.then, notify=one.notify, tag=one.tag) for one in rules),
        mode=row.mode,
        inline_limit_octets=row.inline_limit_octets,
        body_limit_octets=row.body_limit_octets,
        spam_enabled=row.spam_enabled,
        spam_threshold=row.spam_threshold,
        retention_s=row.retention_s,
        captures=captures,
        requires_tls=row.requires_tls,
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
        account.c.id.label("account_id"),
        account.c.retention_s,
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
    )
    .select_from(domain)
    .join(account, account.c.id == domain.c.account_id)
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
    sa.select(endpoint.c.id, endpoint.c.format, endpoint.c.include)
    .where(endpoint.c.alias_id == sa.bindparam("alias_id"), endpoint.c.deleted_at.is_(None))
    .order_by(endpoint.c.position, endpoint.c.id)
)
_RULES = (
    sa.select(rule.c.condition, rule.c.then, rule.c.notify, rule.c.tag)
    .where(rule.c.alias_id == sa.bindparam("alias_id"))
    .order_by(rule.c.position)
)
_ENDPOINT = sa.select(endpoint).where(endpoint.c.id == sa.bindparam("id"))
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
