"""Operations on domains, aliases and endpoints, and on all of them at once as a routes file."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from mailchute.errors import BadSetting
from mailchute.installation import establish, open_sealer
from mailchute.routes.file import parse_routes
from mailchute.store import routing
from mailchute.store.endpoints import enable_endpoint
from mailchute.store.listing import (
    AliasView,
    DomainView,
    EndpointView,
    list_aliases,
    list_domains,
    list_endpoints,
)
from mailchute.store.wanted import Change

from .cursor import cursor_of, parts_of
from .operation import Operation, PageQuery, Request, note
from .problem import Mistake, Problem, not_found

_LINE = re.compile(r"[^:]*:(\d+): (.*)")


class AliasQuery(PageQuery, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which aliases."""

    domain_id: str | None = None


class EndpointQuery(PageQuery, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which endpoints."""

    alias_id: str | None = None


class Domains(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of domains, the oldest first."""

    items: tuple[DomainView, ...]
    next_cursor: str | None


class Aliases(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of aliases, the oldest first."""

    items: tuple[AliasView, ...]
    next_cursor: str | None


class Endpoints(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of endpoints, the oldest first."""

    items: tuple[EndpointView, ...]
    next_cursor: str | None


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What differed; an endpoint's secret where it was made now."""

    changes: tuple[Change, ...]


def _page(kind: Callable[..., Any], lister: Callable[..., Sequence[Any]], *filters: str) -> Any:
    """Return the operation that lists a page: each of `filters` is a field of its query."""

    def work(request: Request) -> Any:
        query = request.query
        after = parts_of(query.cursor, 1)
        with request.services.database.read() as connection:
            found = lister(
                connection, request.account_id, after=after[0] if after else "", limit=query.limit + 1,
                **{name: getattr(query, name) for name in filters},
            )  # fmt: skip
        page = tuple(found[: query.limit])
        return kind(items=page, next_cursor=cursor_of(page[-1].id) if len(found) > query.limit else None)

    return work


def _one(lister: Callable[..., Sequence[Any]], part: str) -> Any:
    """Return the operation that shows the one whose id stands in the path."""

    def work(request: Request) -> Any:
        with request.services.database.read() as connection:
            found = lister(connection, request.account_id, only=request.path[part])
        if not found:
            raise not_found(request.path[part])
        return found[0]

    return work


def _secret(request: Request) -> EndpointView:
    with request.services.database.read() as connection:
        found = list_endpoints(
            connection, request.account_id, only=request.path["endpointId"],
            sealer=open_sealer(connection, request.services.keyring),
        )  # fmt: skip
    if not found:
        raise not_found(request.path["endpointId"])
    return found[0]


def _switch(*, is_enabled: bool) -> Any:
    def work(request: Request) -> EndpointView:
        endpoint_id = request.path["endpointId"]
        with request.services.database.write() as connection:
            found = enable_endpoint(
                connection, account_id=request.account_id, endpoint_id=endpoint_id,
                is_enabled=is_enabled, now=request.now,
            )  # fmt: skip
            if not found:
                raise not_found(endpoint_id)
            note(connection, request, "endpoint.enable" if is_enabled else "endpoint.disable", endpoint_id)
            return list_endpoints(connection, request.account_id, only=endpoint_id)[0]

    return work


def _apply(*, is_kept: bool) -> Any:
    def work(request: Request) -> Changes:
        try:
            wanted = parse_routes(request.body)
            with (
                request.services.database.write() as connection,
                routing.trial(connection, is_kept=is_kept),
            ):
                changes = routing.apply(
                    connection, wanted, account_id=request.account_id, now=request.now,
                    sealer=establish(connection, request.services.keyring), actor=request.key.id,
                )  # fmt: skip
        except BadSetting as error:
            raise Problem(422, "the routes cannot be used", mistakes=_mistakes_of(str(error))) from None
        if not is_kept:
            changes = tuple(msgspec.structs.replace(change, secret=None) for change in changes)
        return Changes(changes=changes)

    return work


def _mistakes_of(text: str) -> tuple[Mistake, ...]:
    found = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        found.append(Mistake(line=int(match[1]), text=match[2]) if match else Mistake(line=None, text=line))
    return tuple(found)


READ, WRITE = "routes:read", "routes:write"
ENDPOINT = "/endpoints/{endpointId}"
OPERATIONS = (
    Operation(
        method="GET", path="/domains", scope=READ, does="List domains.", answers=Domains,
        query=PageQuery, work=_page(Domains, list_domains),
    ),
    Operation(
        method="GET", path="/domains/{domainId}", scope=READ, does="Show one domain.",
        answers=DomainView, work=_one(list_domains, "domainId"), fails=(404,),
    ),
    Operation(
        method="GET", path="/aliases", scope=READ, does="List aliases.", answers=Aliases,
        query=AliasQuery, work=_page(Aliases, list_aliases, "domain_id"),
    ),
    Operation(
        method="GET", path="/aliases/{aliasId}", scope=READ, does="Show one alias.",
        answers=AliasView, work=_one(list_aliases, "aliasId"), fails=(404,),
    ),
    Operation(
        method="GET", path="/endpoints", scope=READ, does="List endpoints, without their secrets.",
        answers=Endpoints, query=EndpointQuery, work=_page(Endpoints, list_endpoints, "alias_id"),
    ),
    Operation(
        method="GET", path=ENDPOINT, scope=READ, does="Show one endpoint, without its secret.",
        answers=EndpointView, work=_one(list_endpoints, "endpointId"), fails=(404,),
    ),
    Operation(
        method="GET", path=f"{ENDPOINT}/secret", scope=WRITE, does="Show one endpoint with its secret.",
        answers=EndpointView, work=_secret, fails=(404,),
    ),
    Operation(
        method="POST", path=f"{ENDPOINT}/enable", scope=WRITE, answers=EndpointView, fails=(404,),
        does="Let mail go to an endpoint again, after a 410 or a disable.", work=_switch(is_enabled=True),
    ),
    Operation(
        method="POST", path=f"{ENDPOINT}/disable", scope=WRITE, answers=EndpointView, fails=(404,),
        does="Let no mail go to an endpoint.", work=_switch(is_enabled=False),
    ),
    Operation(
        method="PUT", path="/routes", scope=WRITE, answers=Changes, body=str, fails=(422,),
        does="Make domains, aliases and endpoints those of a routes file.", work=_apply(is_kept=True),
    ),
    Operation(
        method="POST", path="/routes/plan", scope=READ, answers=Changes, body=str, fails=(422,),
        does="Tell what a routes file would change, and change nothing.", work=_apply(is_kept=False),
    ),
)  # fmt: skip
