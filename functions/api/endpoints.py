"""Operations on endpoints: where the mail of an alias is POSTed."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from mailchute.routes.values import check_secret
from mailchute.store.aliases import lock_alias
from mailchute.store.endpoint_edits import change_endpoint, lock_endpoint, remove_endpoint, rotate_secret
from mailchute.store.endpoints import enable_endpoint
from mailchute.store.listing import EndpointView, list_endpoints

from .editions import check_unchanged
from .endpoint_fields import EndpointEdit, EndpointFields, NewSecret, columns_of, made_endpoint
from .fields import checked
from .listing import one, page, shown
from .operation import Id, Operation, PageQuery, Request, note
from .problem import not_found


class EndpointQuery(PageQuery, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which endpoints."""

    alias_id: str | None = None


class Endpoints(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of endpoints, the oldest first."""

    items: tuple[EndpointView, ...]
    next_cursor: str | None


class NewEndpoint(EndpointFields, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An endpoint of an alias."""

    alias_id: Id


def _create(request: Request, connection: sa.Connection) -> EndpointView:
    body: NewEndpoint = request.body
    if lock_alias(connection, request.account_id, body.alias_id) is None:
        raise not_found(body.alias_id)
    return made_endpoint(request, connection, alias_id=body.alias_id, body=body)


def _edit(request: Request, connection: sa.Connection) -> EndpointView:
    known, body = _locked(request, connection), request.body
    check_unchanged(request, known)
    columns = columns_of(body, known.url if body.url is msgspec.UNSET else body.url)
    change_endpoint(
        connection, account_id=request.account_id, endpoint_id=known.id, columns=columns,
        sealer=request.services.sealer(connection), now=request.now,
    )  # fmt: skip
    if columns:
        detail = f"{known.address} → {known.url} ({', '.join(columns)})"
        note(connection, request, "endpoint.change", known.id, detail=detail)
    return _locked(request, connection)


def _remove(request: Request, connection: sa.Connection) -> None:
    known = _locked(request, connection)
    check_unchanged(request, known, is_needed=False)
    remove_endpoint(connection, known.id, request.now)
    note(connection, request, "endpoint.remove", known.id, detail=f"{known.address} → {known.url}")


def _rotate(request: Request, connection: sa.Connection) -> EndpointView:
    known = _locked(request, connection)
    body: NewSecret = request.body
    secret = None if body.secret is None else checked("secret", check_secret, body.secret)
    sealer = request.services.sealer(connection)
    rotate_secret(
        connection, account_id=request.account_id, endpoint_id=known.id, secret=secret, sealer=sealer,
        now=request.now,
    )  # fmt: skip
    note(connection, request, "endpoint.change", known.id, detail=f"{known.address} → {known.url} (secret)")
    found: EndpointView = shown(connection, request, list_endpoints, known.id, sealer=sealer)
    return found


def _secret(request: Request) -> EndpointView:
    with request.services.database.write() as connection:  # the trail says who has seen it
        sealer = request.services.sealer(connection)
        endpoint_id = request.path["endpointId"]
        found: EndpointView = shown(connection, request, list_endpoints, endpoint_id, sealer=sealer)
        note(connection, request, "endpoint.reveal", endpoint_id)
    return found


def _switch(*, is_enabled: bool) -> Any:
    def change(request: Request, connection: sa.Connection) -> EndpointView:
        endpoint_id = request.path["endpointId"]
        is_there = enable_endpoint(
            connection, account_id=request.account_id, endpoint_id=endpoint_id, is_enabled=is_enabled,
            now=request.now,
        )  # fmt: skip
        if not is_there:
            raise not_found(endpoint_id)
        note(connection, request, "endpoint.enable" if is_enabled else "endpoint.disable", endpoint_id)
        found: EndpointView = shown(connection, request, list_endpoints, endpoint_id)
        return found

    return change


def _locked(request: Request, connection: sa.Connection) -> EndpointView:
    endpoint_id = request.path["endpointId"]
    if lock_endpoint(connection, request.account_id, endpoint_id) is None:
        raise not_found(endpoint_id)
    found: EndpointView = shown(connection, request, list_endpoints, endpoint_id)
    return found


READ, WRITE = "routes:read", "routes:write"
ONE = "/endpoints/{endpointId}"
OPERATIONS = (
    Operation(
        method="GET", path="/endpoints", scope=READ, does="List endpoints, without their secrets.",
        answers=Endpoints, query=EndpointQuery, work=page(Endpoints, list_endpoints, "alias_id"),
    ),
    Operation(
        method="POST", path="/endpoints", scope=WRITE, answers=EndpointView, body=NewEndpoint,
        example={"aliasId": "als_…", "url": "https://api.example/mail"}, change=_create, has_etag=True,
        does="POST the mail of an alias to a URL; the answer has the secret that signs.",
        created=ONE.replace("endpointId", "id"), fails=(404, 409, 422),
    ),
    Operation(
        method="GET", path=ONE, scope=READ, does="Show one endpoint, without its secret.",
        answers=EndpointView, work=one(list_endpoints, "endpointId"), has_etag=True, fails=(404,),
    ),
    Operation(
        method="PATCH", path=ONE, scope=WRITE, does="Change an endpoint.", answers=EndpointView,
        body=EndpointEdit, example={"format": "postmark"}, change=_edit, has_etag=True, needs_match=True,
        fails=(404, 409, 412, 422, 428),
    ),
    Operation(
        method="DELETE", path=ONE, scope=WRITE, answers=None, change=_remove, fails=(404, 412),
        does="POST nothing more to an endpoint.",
    ),
    Operation(
        method="GET", path=f"{ONE}/secret", scope=WRITE, does="Show one endpoint with its secret.",
        answers=EndpointView, work=_secret, fails=(404,),
    ),
    Operation(
        method="POST", path=f"{ONE}/secret", scope=WRITE, answers=EndpointView, body=NewSecret, example={},
        does="Give an endpoint a new secret; the former signs beside it for a day.", change=_rotate,
        fails=(404, 422),
    ),
    Operation(
        method="POST", path=f"{ONE}/enable", scope=WRITE, answers=EndpointView, fails=(404,),
        does="Let mail go to an endpoint again, after a 410 or a disable.", change=_switch(is_enabled=True),
    ),
    Operation(
        method="POST", path=f"{ONE}/disable", scope=WRITE, answers=EndpointView, fails=(404,),
        does="Let no mail go to an endpoint.", change=_switch(is_enabled=False),
    ),
)  # fmt: skip
