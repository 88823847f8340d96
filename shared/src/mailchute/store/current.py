"""What an account has, as its routes file would say it."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import sqlalchemy as sa

from mailchute.sealed_endpoint import place_of
from mailchute.sealing import Sealer
from mailchute.store.rules import read_rules
from mailchute.store.wanted import Wanted, WantedAlias, WantedDomain, WantedEndpoint
from mailchute.tables import account, alias, domain, domain_rule, endpoint, rule

LISTENER = re.compile(r"/listen/key_[^/]*-[0-9a-f]{48}$")  # of `mailchute listen`: no part of the routes

_ALIAS = (
    *("name", "kind", "match", "priority", "mode", "inline_limit_octets", "body_limit_octets"),
    *("spam_enabled", "spam_threshold"),
)


def current(connection: sa.Connection, account_id: str, sealer: Sealer | None) -> Wanted:
    """
    Return all domains, aliases, rules and endpoints of the account, by name.

    Args:
        sealer: Opens what is sealed; None leaves it out.

    Raises:
        SecretUnreadable: Something sealed does not open.
    """
    found = connection.execute(
        sa.select(domain)
        .where(domain.c.account_id == account_id, domain.c.deleted_at.is_(None))
        .order_by(domain.c.name)
    ).all()
    retention_s = connection.scalar(sa.select(account.c.retention_s).where(account.c.id == account_id))
    return Wanted(
        retention_s=retention_s,
        domains=tuple(
            WantedDomain(
                name=row.name,
                requires_tls=row.requires_tls,
                rules=read_rules(connection, domain_rule, row.id),
                aliases=tuple(_alias(connection, one, sealer) for one in _aliases(connection, row.id)),
            )
            for row in found
        ),
    )


def _aliases(connection: sa.Connection, domain_id: str) -> list[Any]:
    rows = connection.execute(
        sa.select(alias)
        .where(alias.c.domain_id == domain_id, alias.c.deleted_at.is_(None))
        .order_by(alias.c.kind != "exact", alias.c.kind == "catch-all", -alias.c.priority, alias.c.name)
    )
    return list(rows)


def _alias(connection: sa.Connection, row: Any, sealer: Sealer | None) -> WantedAlias:
    rows = connection.execute(
        sa.select(endpoint)
        .where(endpoint.c.alias_id == row.id, endpoint.c.deleted_at.is_(None))
        .order_by(endpoint.c.position, endpoint.c.id)
    )
    return WantedAlias(
        **{name: getattr(row, name) for name in _ALIAS},
        rules=read_rules(connection, rule, row.id),
        endpoints=tuple(_endpoint(one, sealer) for one in rows if not LISTENER.search(one.url)),
    )


def _endpoint(row: Any, sealer: Sealer | None) -> WantedEndpoint:
    def opened(column: str) -> str | None:
        sealed = getattr(row, column)
        return sealer.open(bytes(sealed), place_of(row, column)) if sealer and sealed else None

    headers = opened("headers")
    return WantedEndpoint(
        url=row.url,
        secret=opened("secret"),
        format=row.format,
        include=tuple(row.include),
        headers=msgspec.json.decode(headers, type=tuple[tuple[str, str], ...]) if headers else (),
        basic_auth=opened("basic_auth"),
        signing_key=opened("signing_key"),
        signs_v1a=row.signs_v1a,
        client_certificate=opened("client_certificate"),
        rate_per_s=row.rate_per_s,
        wants_challenge=row.wants_challenge,
    )
