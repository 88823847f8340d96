"""Operations on the block list: whose mail an account refuses at the SMTP edge."""

from __future__ import annotations

from typing import Annotated

import msgspec
import sqlalchemy as sa
from mailchute.blocks import BlockKind
from mailchute.store import blocking
from mailchute.store.blocking import NOTE_MAX_CHARACTERS, BlockEntry

from .listing import page
from .operation import Operation, PageQuery, Request
from .problem import not_found, unusable

Value = Annotated[str, msgspec.Meta(min_length=1, max_length=320)]
Note = Annotated[str, msgspec.Meta(max_length=NOTE_MAX_CHARACTERS)]


class BlockEntries(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of block entries, the oldest first."""

    items: tuple[BlockEntry, ...]
    next_cursor: str | None


class NewBlockEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An address, a domain or a network to refuse."""

    kind: BlockKind
    value: Value
    note: Note = ""


def _add(request: Request, connection: sa.Connection) -> BlockEntry:
    body: NewBlockEntry = request.body
    try:
        return blocking.add(
            connection, account_id=request.account_id, kind=body.kind, value=body.value, note=body.note,
            now=request.now, actor=request.key.id,
        )  # fmt: skip
    except ValueError as error:
        raise unusable("value", error) from None


def _remove(request: Request, connection: sa.Connection) -> None:
    gone = blocking.remove(
        connection, account_id=request.account_id, entry_id=request.path["entryId"], now=request.now,
        actor=request.key.id,
    )  # fmt: skip
    if gone is None:
        raise not_found(request.path["entryId"])


OPERATIONS = (
    Operation(
        method="GET", path="/blocks", scope="routes:read", does="List block entries.", answers=BlockEntries,
        query=PageQuery, work=page(BlockEntries, blocking.list_entries),
    ),
    Operation(
        method="POST", path="/blocks", scope="routes:write", answers=BlockEntry, body=NewBlockEntry,
        example={"kind": "domain", "value": "spammer.example", "note": "a note"}, change=_add,
        does="Refuse mail of an address, domain or network; asked again, it is the same entry.",
        fails=(422,),
    ),
    Operation(
        method="DELETE", path="/blocks/{entryId}", scope="routes:write", answers=None, change=_remove,
        does="Refuse no longer what a block entry says.", fails=(404,),
    ),
)  # fmt: skip
