"""An account's block list: entries added, listed and removed."""

from __future__ import annotations

import ipaddress
from datetime import datetime

import msgspec
import sqlalchemy as sa

from mailchute.blocks import BlockKind, canonical
from mailchute.ids import new_id
from mailchute.standing import ENTRIES_MAX
from mailchute.store.audit import note as note_change
from mailchute.tables import account, block_entry

NOTE_MAX_CHARACTERS = 500
WIDEST_PREFIX = {4: 8, 6: 16}  # a network wider than this is half the world: a slip of the hand


class BlockEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One entry as it is listed."""

    id: str
    kind: BlockKind
    value: str  # in the spelling that is looked up: lower case, A-labels
    note: str
    created_at: datetime


def add(
    connection: sa.Connection,
    *,
    account_id: str,
    kind: str,
    value: str,
    now: datetime,
    actor: str,
    note: str = "",
) -> BlockEntry:
    """
    Return the account's entry of this value, made when there was none; its note stays as it was.

    Raises:
        ValueError: The value is none of its kind, a note is too long, or there are too many entries.
    """
    text = canonical(kind, value)
    if kind == "network":
        _check_width(text)
    if len(note) > NOTE_MAX_CHARACTERS or "\x00" in note:
        raise ValueError(f"a note has up to {NOTE_MAX_CHARACTERS} characters and no NUL")
    if connection.dialect.name != "sqlite":  # two at once would both count, or both insert
        connection.execute(sa.select(account.c.id).where(account.c.id == account_id).with_for_update())
    mine = block_entry.c.account_id == account_id
    known = connection.execute(
        sa.select(block_entry).where(mine, block_entry.c.kind == kind, block_entry.c.value == text)
    ).first()
    if known is not None:
        return _entry_of(known)
    if (connection.scalar(sa.select(sa.func.count()).where(mine)) or 0) >= ENTRIES_MAX:
        raise ValueError(f"an account has up to {ENTRIES_MAX} block entries: remove some, or block a domain")
    made = connection.execute(
        sa.insert(block_entry)
        .values(
            id=new_id("blk"), account_id=account_id, kind=kind, value=text, note=note.strip(), created_at=now
        )
        .returning(block_entry)
    ).one()
    note_change(
        connection, account_id=account_id, now=now, actor=actor, action="block.add", object_id=made.id,
        detail=f"{kind} {text}", after={"kind": kind, "value": text, "note": note.strip()},
    )  # fmt: skip
    return _entry_of(made)


def remove(
    connection: sa.Connection, *, account_id: str, entry_id: str, now: datetime, actor: str
) -> BlockEntry | None:
    """Return the entry that was there, which is gone; None when this account has none of this id."""
    gone = connection.execute(
        sa.delete(block_entry)
        .where(block_entry.c.account_id == account_id, block_entry.c.id == entry_id)
        .returning(block_entry)
    ).first()
    if gone is None:
        return None
    note_change(
        connection, account_id=account_id, now=now, actor=actor, action="block.remove", object_id=gone.id,
        detail=f"{gone.kind} {gone.value}",
        before={"kind": gone.kind, "value": gone.value, "note": gone.note},
    )  # fmt: skip
    return _entry_of(gone)


def list_entries(
    connection: sa.Connection, account_id: str, *, after: str | None = None, limit: int = 100
) -> list[BlockEntry]:
    """Return the account's entries, the oldest first, those made after the entry `after`."""
    query = sa.select(block_entry).where(block_entry.c.account_id == account_id)
    if after is not None:
        query = query.where(block_entry.c.id > after)
    return [_entry_of(row) for row in connection.execute(query.order_by(block_entry.c.id).limit(limit))]


def _check_width(network: str) -> None:
    found = ipaddress.ip_network(network)
    if found.prefixlen < (widest := WIDEST_PREFIX[found.version]):
        raise ValueError(f"{network} is too wide; expected /{widest} or narrower")


def _entry_of(row: sa.Row[tuple[object, ...]]) -> BlockEntry:
    values = row._mapping
    return BlockEntry(
        id=values["id"],
        kind=values["kind"],
        value=values["value"],
        note=values["note"],
        created_at=values["created_at"],
    )
