"""Operations on API keys: made once, shown once, taken back at once."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import sqlalchemy as sa
from mailchute.store import keys
from mailchute.store.keys import ApiKey

from .fields import Name
from .listing import page
from .operation import Operation, PageQuery, Request, note
from .problem import Problem, not_found

Scope = Literal["emails:read", "emails:write", "routes:read", "routes:write", "account:read", "account:write"]
Scopes = Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=len(keys.SCOPES))]


class Keys(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of API keys, the oldest first; never what they are."""

    items: tuple[ApiKey, ...]
    next_cursor: str | None


class NewKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An API key that is to be made."""

    name: Name
    scopes: Scopes


class MadeKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A key that was made now."""

    id: str
    name: str
    scopes: tuple[str, ...]
    key: str  # to be sent as X-API-KEY; it is not to be had again


def _create(request: Request, connection: sa.Connection) -> MadeKey:
    body: NewKey = request.body
    lacking = sorted(set(body.scopes) - set(request.key.scopes))
    if lacking:
        raise Problem(403, f"a key makes no key that may more than itself: it lacks {', '.join(lacking)}")
    try:
        made, text = keys.create(
            connection, account_id=request.account_id, name=body.name, now=request.now,
            scopes=tuple(dict.fromkeys(body.scopes)),
        )  # fmt: skip
    except ValueError as error:
        raise Problem(422, str(error)) from None
    note(connection, request, "key.add", made.id, detail=made.name)
    return MadeKey(id=made.id, name=made.name, scopes=made.scopes, key=text)


def _revoke(request: Request, connection: sa.Connection) -> None:
    key_id = request.path["keyId"]
    if not keys.revoke(connection, account_id=request.account_id, key_id=key_id, now=request.now):
        raise not_found(key_id)
    note(connection, request, "key.revoke", key_id)


OPERATIONS = (
    Operation(
        method="GET", path="/keys", scope="account:read", does="List API keys, the revoked among them.",
        answers=Keys, query=PageQuery, work=page(Keys, keys.list_keys),
    ),
    Operation(
        method="POST", path="/keys", scope="account:write", answers=MadeKey, body=NewKey,
        example={"name": "ci", "scopes": ["emails:read"]}, change=_create, fails=(422,),
        does="Make an API key; it is shown this once.",
    ),
    Operation(
        method="DELETE", path="/keys/{keyId}", scope="account:write", answers=None, change=_revoke,
        does="Take an API key back at once.", fails=(404,),
    ),
)  # fmt: skip
