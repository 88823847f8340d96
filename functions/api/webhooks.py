"""An alias and its endpoint in one call that can be repeated: what a sign-up form of a product needs."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from mailchute.routes.values import check_domain
from mailchute.store.aliases import lock_alias
from mailchute.store.domains import create_domain
from mailchute.store.listing import (
    AliasView,
    DomainView,
    EndpointView,
    list_aliases,
    list_domains,
    list_endpoints,
)

from .aliases import made_alias
from .endpoint_fields import EndpointFields, made_endpoint
from .fields import DomainName, LocalPart, checked
from .listing import shown
from .operation import Operation, Request, note


class WantedWebhook(EndpointFields, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Mail for this alias of this domain goes to this URL."""

    domain: DomainName
    alias: LocalPart


class Webhook(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The domain, the alias and the endpoint, made now or there already."""

    domain: DomainView
    alias: AliasView
    endpoint: EndpointView  # with its secret
    is_new: bool  # whether anything of it was made now


def _ensure(request: Request, connection: sa.Connection) -> Webhook:
    body: WantedWebhook = request.body
    domain, is_new_domain = _domain(request, connection, checked("domain", check_domain, body.domain))
    alias, is_new_alias = _alias(request, connection, domain.id, body.alias)
    endpoint, is_new_endpoint = _endpoint(request, connection, alias.id, body)
    return Webhook(
        domain=domain, alias=alias, endpoint=endpoint, is_new=is_new_domain or is_new_alias or is_new_endpoint
    )


def _domain(request: Request, connection: sa.Connection, name: str) -> tuple[DomainView, bool]:
    known = list_domains(connection, request.account_id, name=name)
    if known:
        return known[0], False
    domain_id = create_domain(
        connection, account_id=request.account_id, name=name, requires_tls=False, now=request.now
    )
    note(connection, request, "domain.add", domain_id, detail=name)
    return shown(connection, request, list_domains, domain_id), True


def _alias(request: Request, connection: sa.Connection, domain_id: str, name: str) -> tuple[AliasView, bool]:
    known = list_aliases(connection, request.account_id, domain_id=domain_id, name=name)
    if known:
        lock_alias(connection, request.account_id, known[0].id)
        return known[0], False
    return made_alias(request, connection, domain_id=domain_id, name=name, columns={}), True


def _endpoint(
    request: Request, connection: sa.Connection, alias_id: str, body: WantedWebhook
) -> tuple[EndpointView, bool]:
    fields: dict[str, Any] = {name: getattr(body, name) for name in EndpointFields.__struct_fields__}
    known = list_endpoints(connection, request.account_id, alias_id=alias_id, url=body.url)
    if known:
        sealer = request.services.sealer(connection)
        return shown(connection, request, list_endpoints, known[0].id, sealer=sealer), False
    return made_endpoint(request, connection, alias_id=alias_id, body=EndpointFields(**fields)), True


OPERATIONS = (
    Operation(
        method="POST", path="/webhooks/alias", scope="routes:write", answers=Webhook, body=WantedWebhook,
        example={"domain": "inbox.example", "alias": "support", "url": "https://api.example/mail"},
        change=_ensure, fails=(404, 409, 422),
        does="Make domain, alias and endpoint, what is not there; again, it makes nothing.",
    ),
)  # fmt: skip
