"""Operations on aliases."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from mailchute.alias import BODY_LIMIT_OCTETS, INLINE_LIMIT_OCTETS, SPAM_THRESHOLD, Mode
from mailchute.routes.values import read_local_part
from mailchute.store.aliases import change_alias, create_alias, lock_alias, remove_alias
from mailchute.store.domains import lock_domain
from mailchute.store.listing import AliasView, list_aliases

from .editions import check_unchanged
from .fields import LocalPart, checked, given
from .listing import one, page, shown
from .operation import Id, Operation, PageQuery, Request, note
from .problem import not_found, unusable

PRIORITY_MAX = 1_000_000
Priority = Annotated[int, msgspec.Meta(ge=-PRIORITY_MAX, le=PRIORITY_MAX)]
InlineLimit = Annotated[int, msgspec.Meta(ge=0, le=BODY_LIMIT_OCTETS * 3 // 4)]  # base64 makes 4 of 3
Threshold = Annotated[float, msgspec.Meta(ge=-1_000, le=1_000)]
FIELDS = ("mode", "priority", "inline_limit_octets", "spam_enabled", "spam_threshold")
Unset = msgspec.UnsetType


class AliasQuery(PageQuery, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which aliases."""

    domain_id: str | None = None


class Aliases(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of aliases, the oldest first."""

    items: tuple[AliasView, ...]
    next_cursor: str | None


class AliasFields(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How the mail of an alias is treated."""

    mode: Mode = "async"  # through: its senders wait for the answer of its first endpoint
    priority: Priority = 0  # of patterns: the highest goes first
    inline_limit_octets: InlineLimit = INLINE_LIMIT_OCTETS
    spam_enabled: bool = True
    spam_threshold: Threshold = SPAM_THRESHOLD


class NewAlias(AliasFields, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An alias of a domain: `support`, `order-*`, `/ticket-[0-9]+/`, or `*` for all others."""

    domain_id: Id
    name: LocalPart


class AliasEdit(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is to be changed of an alias."""

    mode: Mode | Unset = msgspec.UNSET
    priority: Priority | Unset = msgspec.UNSET
    inline_limit_octets: InlineLimit | Unset = msgspec.UNSET
    spam_enabled: bool | Unset = msgspec.UNSET
    spam_threshold: Threshold | Unset = msgspec.UNSET


def made_alias(
    request: Request, connection: sa.Connection, *, domain_id: str, name: str, columns: dict[str, Any]
) -> AliasView:
    """
    Return the new alias of a domain of the account.

    Raises:
        Problem: 404, there is no such domain; 422, the name cannot be used.
        Taken, OverPlan: The domain has it, or the plan does not allow one more.
    """
    domain_name = lock_domain(connection, request.account_id, domain_id)
    if domain_name is None:
        raise not_found(domain_id)
    kind, match = checked("name", read_local_part, name)
    if columns.get("priority") and kind in ("exact", "catch-all"):
        raise unusable("priority", ValueError("only patterns have one"))
    alias_id = create_alias(
        connection, account_id=request.account_id, domain_id=domain_id, name=name, kind=kind, match=match,
        columns=columns, now=request.now,
    )  # fmt: skip
    note(connection, request, "alias.add", alias_id, detail=f"{name}@{domain_name}")
    found: AliasView = shown(connection, request, list_aliases, alias_id)
    return found


def _create(request: Request, connection: sa.Connection) -> AliasView:
    body: NewAlias = request.body
    return made_alias(
        request, connection, domain_id=body.domain_id, name=body.name, columns=given(body, *FIELDS)
    )


def _edit(request: Request, connection: sa.Connection) -> AliasView:
    known = _locked(request, connection)
    check_unchanged(request, known)
    columns = {
        name: value for name, value in given(request.body, *FIELDS).items() if value != getattr(known, name)
    }
    if columns.get("priority") and known.kind in ("exact", "catch-all"):
        raise unusable("priority", ValueError("only patterns have one"))
    if columns:
        change_alias(connection, known.id, columns)
        note(connection, request, "alias.change", known.id, detail=f"{known.address} ({', '.join(columns)})")
    return _locked(request, connection)


def _remove(request: Request, connection: sa.Connection) -> None:
    known = _locked(request, connection)
    check_unchanged(request, known, is_needed=False)
    remove_alias(connection, known.id, request.now)
    note(connection, request, "alias.remove", known.id, detail=known.address)


def _locked(request: Request, connection: sa.Connection) -> AliasView:
    alias_id = request.path["aliasId"]
    if lock_alias(connection, request.account_id, alias_id) is None:
        raise not_found(alias_id)
    found: AliasView = shown(connection, request, list_aliases, alias_id)
    return found


READ, WRITE = "routes:read", "routes:write"
ONE = "/aliases/{aliasId}"
OPERATIONS = (
    Operation(
        method="GET", path="/aliases", scope=READ, does="List aliases.", answers=Aliases,
        query=AliasQuery, work=page(Aliases, list_aliases, "domain_id"),
    ),
    Operation(
        method="POST", path="/aliases", scope=WRITE, does="Make an alias of a domain.", answers=AliasView,
        body=NewAlias, example={"domainId": "dom_…", "name": "support"}, change=_create,
        created=ONE.replace("aliasId", "id"), has_etag=True, fails=(404, 409, 422),
    ),
    Operation(
        method="GET", path=ONE, scope=READ, does="Show one alias.", answers=AliasView,
        work=one(list_aliases, "aliasId"), has_etag=True, fails=(404,),
    ),
    Operation(
        method="PATCH", path=ONE, scope=WRITE, does="Change an alias.", answers=AliasView, body=AliasEdit,
        example={"spamThreshold": 6.5}, change=_edit, has_etag=True, needs_match=True,
        fails=(404, 412, 422, 428),
    ),
    Operation(
        method="DELETE", path=ONE, scope=WRITE, answers=None, change=_remove, fails=(404, 412),
        does="Take no more mail for an alias: its endpoints go with it.",
    ),
)  # fmt: skip
