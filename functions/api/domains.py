"""Operations on domains."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from mailchute.routes.values import check_domain
from mailchute.store.domains import change_domain, create_domain, lock_domain, remove_domain
from mailchute.store.listing import DomainView, list_domains

from .editions import check_unchanged
from .fields import DomainName, checked
from .listing import one, page, shown
from .operation import Operation, PageQuery, Request, note
from .problem import not_found


class Domains(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of domains, the oldest first."""

    items: tuple[DomainView, ...]
    next_cursor: str | None


class NewDomain(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A domain to take mail for."""

    name: DomainName  # inbox.example, or *.inbox.example for all names below it
    requires_tls: bool = False  # no mail over a session in clear


class DomainEdit(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is to be changed of a domain."""

    requires_tls: bool | msgspec.UnsetType = msgspec.UNSET


def _create(request: Request, connection: sa.Connection) -> DomainView:
    body: NewDomain = request.body
    name = checked("name", check_domain, body.name)
    domain_id = create_domain(
        connection, account_id=request.account_id, name=name, requires_tls=body.requires_tls, now=request.now
    )
    note(connection, request, "domain.add", domain_id, detail=name)
    found: DomainView = shown(connection, request, list_domains, domain_id)
    return found


def _edit(request: Request, connection: sa.Connection) -> DomainView:
    known, body = _locked(request, connection), request.body
    check_unchanged(request, known)
    if body.requires_tls not in (msgspec.UNSET, known.requires_tls):
        change_domain(connection, known.id, requires_tls=body.requires_tls)
        note(connection, request, "domain.change", known.id, detail=f"{known.name} (requires_tls)")
    return _locked(request, connection)


def _remove(request: Request, connection: sa.Connection) -> None:
    known = _locked(request, connection)
    check_unchanged(request, known, is_needed=False)
    remove_domain(connection, known.id, request.now)
    note(connection, request, "domain.remove", known.id, detail=known.name)


def _locked(request: Request, connection: sa.Connection) -> DomainView:
    domain_id = request.path["domainId"]
    if lock_domain(connection, request.account_id, domain_id) is None:
        raise not_found(domain_id)
    found: DomainView = shown(connection, request, list_domains, domain_id)
    return found


READ, WRITE = "routes:read", "routes:write"
ONE = "/domains/{domainId}"
OPERATIONS = (
    Operation(
        method="GET", path="/domains", scope=READ, does="List domains.", answers=Domains,
        query=PageQuery, work=page(Domains, list_domains),
    ),
    Operation(
        method="POST", path="/domains", scope=WRITE, does="Take mail for a domain.", answers=DomainView,
        body=NewDomain, example={"name": "inbox.example"}, change=_create, has_etag=True,
        created=ONE.replace("domainId", "id"), fails=(409, 422),
    ),
    Operation(
        method="GET", path=ONE, scope=READ, does="Show one domain.", answers=DomainView,
        work=one(list_domains, "domainId"), has_etag=True, fails=(404,),
    ),
    Operation(
        method="PATCH", path=ONE, scope=WRITE, does="Change a domain.", answers=DomainView, body=DomainEdit,
        example={"requiresTls": True}, change=_edit, has_etag=True, needs_match=True, fails=(404, 412, 428),
    ),
    Operation(
        method="DELETE", path=ONE, scope=WRITE, answers=None, change=_remove, fails=(404, 412),
        does="Take no more mail for a domain: its aliases and endpoints go with it.",
    ),
)  # fmt: skip
