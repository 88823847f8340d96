"""Domains, aliases and endpoints as they are listed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from mailchute.lookup import place_of
from mailchute.sealing import Sealer
from mailchute.tables import alias, domain, endpoint


class DomainView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A domain mail is taken for."""

    id: str
    name: str
    created_at: datetime
    requires_tls: bool = False


class AliasView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An alias and how its mail is treated."""

    id: str
    domain_id: str
    address: str
    kind: str
    priority: int
    mode: str
    inline_limit_octets: int
    spam_enabled: bool
    spam_threshold: float
    created_at: datetime


class EndpointView(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An endpoint; its secret only where it was asked for."""

    id: str
    alias_id: str
    address: str
    url: str
    format: str
    created_at: datetime
    include: tuple[str, ...] = ()
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    secret: str | None = None


def list_domains(
    connection: sa.Connection, account_id: str, *, after: str = "", limit: int = 50, only: str | None = None
) -> list[DomainView]:
    """Return a page of the account's domains, oldest first; `only` the one of this id."""
    query = sa.select(domain).where(
        domain.c.account_id == account_id, domain.c.deleted_at.is_(None), domain.c.id > after
    )
    if only is not None:
        query = query.where(domain.c.id == only)
    rows = connection.execute(query.order_by(domain.c.id).limit(limit))
    return [
        DomainView(id=row.id, name=row.name, created_at=row.created_at, requires_tls=row.requires_tls)
        for row in rows
    ]


def list_aliases(
    connection: sa.Connection,
    account_id: str,
    *,
    after: str = "",
    limit: int = 50,
    domain_id: str | None = None,
    only: str | None = None,
) -> list[AliasView]:
    """Return a page of the account's aliases, oldest first."""
    query = (
        sa.select(alias, domain.c.name.label("domain"))
        .join(domain, domain.c.id == alias.c.domain_id)
        .where(alias.c.account_id == account_id, alias.c.deleted_at.is_(None), alias.c.id > after)
    )
    if domain_id is not None:
        query = query.where(alias.c.domain_id == domain_id)
    if only is not None:
        query = query.where(alias.c.id == only)
    rows = connection.execute(query.order_by(alias.c.id).limit(limit))
    return [
        AliasView(
            address=f"{row.name}@{row.domain}",
            **{name: getattr(row, name) for name in AliasView.__struct_fields__ if name != "address"},
        )
        for row in rows
    ]


def list_endpoints(
    connection: sa.Connection,
    account_id: str,
    *,
    after: str = "",
    limit: int = 50,
    alias_id: str | None = None,
    only: str | None = None,
    sealer: Sealer | None = None,
) -> list[EndpointView]:
    """
    Return a page of the account's endpoints, oldest first.

    Args:
        sealer: Opens the secrets; None leaves them out.

    Raises:
        SecretUnreadable: A secret does not open.
    """
    query = (
        sa.select(endpoint, alias.c.name, domain.c.name.label("domain"))
        .join(alias, alias.c.id == endpoint.c.alias_id)
        .join(domain, domain.c.id == alias.c.domain_id)
        .where(endpoint.c.account_id == account_id, endpoint.c.deleted_at.is_(None), endpoint.c.id > after)
    )
    if alias_id is not None:
        query = query.where(endpoint.c.alias_id == alias_id)
    if only is not None:
        query = query.where(endpoint.c.id == only)
    rows = connection.execute(query.order_by(endpoint.c.id).limit(limit))
    return [_endpoint_view(row, sealer) for row in rows]


def _endpoint_view(row: Any, sealer: Sealer | None) -> EndpointView:
    return EndpointView(
        id=row.id,
        alias_id=row.alias_id,
        address=f"{row.name}@{row.domain}",
        url=row.url,
        format=row.format,
        created_at=row.created_at,
        include=tuple(row.include),
        disabled_at=row.disabled_at,
        disabled_reason=row.disabled_reason,
        secret=None if sealer is None else sealer.open(bytes(row.secret), place_of(row, "secret")),
    )
