"""Domains, aliases and endpoints as they are listed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from mailchute.sealed_endpoint import place_of
from mailchute.sealing import Sealer
from mailchute.tables import alias, domain, endpoint


class DomainView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A domain mail is taken for."""

    id: str
    name: str
    created_at: datetime
    requires_tls: bool = False
    origin: str = "file"  # "file": a routes file that leaves it out takes it away; "api": only with --prune


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
    body_limit_octets: int
    origin: str


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
    failing_since: datetime | None = None  # of the first failure after its last success
    succeeded_at: datetime | None = None
    failed_at: datetime | None = None
    failed_reason: str | None = None  # of the last failure: what happened, and what its owner can do
    rate_per_s: float | None = None
    wants_challenge: bool = False
    verified_at: datetime | None = None
    signs_v1a: bool = False
    previous_secret_until: datetime | None = None  # the former secret signs as well until then
    sealed: tuple[str, ...] = ()  # which of headers, basicAuth, signingKey, clientCertificate are set
    origin: str = "file"


def list_domains(
    connection: sa.Connection,
    account_id: str,
    *,
    after: str = "",
    limit: int = 50,
    only: str | None = None,
    name: str | None = None,
) -> list[DomainView]:
    """Return a page of the account's domains, oldest first; `only` the one of this id."""
    query = sa.select(domain).where(
        domain.c.account_id == account_id, domain.c.deleted_at.is_(None), domain.c.id > after
    )
    if only is not None:
        query = query.where(domain.c.id == only)
    if name is not None:
        query = query.where(domain.c.name == name)
    rows = connection.execute(query.order_by(domain.c.id).limit(limit))
    return [DomainView(**{name: getattr(row, name) for name in DomainView.__struct_fields__}) for row in rows]


def list_aliases(
    connection: sa.Connection,
    account_id: str,
    *,
    after: str = "",
    limit: int = 50,
    domain_id: str | None = None,
    only: str | None = None,
    name: str | None = None,
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
    if name is not None:
        query = query.where(sa.func.lower(alias.c.name) == name.lower())
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
    url: str | None = None,
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
    if url is not None:
        query = query.where(endpoint.c.url == url)
    rows = connection.execute(query.order_by(endpoint.c.id).limit(limit))
    return [_endpoint_view(row, sealer) for row in rows]


def _endpoint_view(row: Any, sealer: Sealer | None) -> EndpointView:
    plain = (name for name in EndpointView.__struct_fields__ if name in row._mapping and name != "secret")
    return EndpointView(
        **{name: getattr(row, name) for name in plain} | {"include": tuple(row.include)},
        address=f"{row.name}@{row.domain}",
        secret=None if sealer is None else sealer.open(bytes(row.secret), place_of(row, "secret")),
        sealed=tuple(name for column, name in _SEALED.items() if getattr(row, column) is not None),
    )


_SEALED = {
    "headers": "headers",
    "basic_auth": "basicAuth",
    "signing_key": "signingKey",
    "client_certificate": "clientCertificate",
}
