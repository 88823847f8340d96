"""Operations on the account itself: its plan, what it used of it, retention, hold, storage."""

from __future__ import annotations

from typing import Annotated

import msgspec
import sqlalchemy as sa
from mailchute.plans import RETENTION_MAX_S
from mailchute.store import account_settings
from mailchute.store.account_settings import AccountView

from .editions import check_unchanged
from .operation import Id, Operation, Request, note
from .problem import unusable

Unset = msgspec.UnsetType
Retention = Annotated[int, msgspec.Meta(ge=0, le=RETENTION_MAX_S)]


class AccountEdit(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is to be changed of the account."""

    retention_s: Retention | Unset = msgspec.UNSET  # of a mail after its end
    is_held: bool | Unset = msgspec.UNSET  # an investigation is open: nothing is removed by age
    storage_connection_id: Id | Unset | None = msgspec.UNSET  # null: the installation's bucket


def _show(request: Request) -> AccountView:
    with request.services.database.read() as connection:
        return account_settings.account_of(connection, request.account_id, request.now)


def _edit(request: Request, connection: sa.Connection) -> AccountView:
    body: AccountEdit = request.body
    account_settings.lock_account(connection, request.account_id)
    known = account_settings.account_of(connection, request.account_id, request.now)
    check_unchanged(request, known)
    changed = []
    if body.retention_s is not msgspec.UNSET and body.retention_s != known.retention_s:
        account_settings.set_retention(connection, request.account_id, body.retention_s)
        changed.append("retention_s")
    if body.is_held is not msgspec.UNSET and body.is_held != (known.held_at is not None):
        account_settings.hold_account(connection, request.account_id, request.now if body.is_held else None)
        changed.append("held_at")
    if body.storage_connection_id is not msgspec.UNSET and (
        body.storage_connection_id != known.storage_connection_id
    ):
        if not account_settings.use_connection(connection, request.account_id, body.storage_connection_id):
            raise unusable("storageConnectionId", ValueError("there is no storage connection of this id"))
        changed.append("storage_connection_id")
    if changed:
        note(connection, request, "account.change", request.account_id, detail=f"({', '.join(changed)})")
    return account_settings.account_of(connection, request.account_id, request.now)


OPERATIONS = (
    Operation(
        method="GET", path="/account", scope="account:read", answers=AccountView, work=_show, has_etag=True,
        does="Show the account: its plan, what it used of it, and its settings.",
    ),
    Operation(
        method="PATCH", path="/account", scope="account:write", answers=AccountView, body=AccountEdit,
        example={"retentionS": 3600}, change=_edit, has_etag=True, needs_match=True,
        does="Change the account's retention, hold or storage.", fails=(409, 412, 422, 428),
    ),
)  # fmt: skip
