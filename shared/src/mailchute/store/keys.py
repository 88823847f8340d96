"""API keys: made once, shown once, kept as a digest."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from mailchute.ids import new_id
from mailchute.tables import api_key

PREFIX = "mc_"
KEY_OCTETS = 32  # so random that a plain SHA-256 of it cannot be searched
SCOPES = ("emails:read", "emails:write", "routes:read", "routes:write", "account:read", "account:write")
USED_EVERY_S = 60  # last_used_at is exact to this; else every call would write


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An API key as it is listed: never the key itself."""

    id: str
    account_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


def create(
    connection: sa.Connection,
    *,
    account_id: str,
    name: str,
    now: datetime,
    scopes: tuple[str, ...] = SCOPES,
) -> tuple[ApiKey, str]:
    """
    Return the new key and its text, which is not to be had again.

    Raises:
        ValueError: A scope is unknown, or the name is empty.
    """
    if unknown := set(scopes) - set(SCOPES):
        raise ValueError(f"unknown scope {', '.join(sorted(unknown))}; there are {', '.join(SCOPES)}")
    if not name.strip() or not scopes:
        raise ValueError("a key needs a name and a scope")
    text = PREFIX + secrets.token_urlsafe(KEY_OCTETS)
    made = ApiKey(id=new_id("key"), account_id=account_id, name=name, scopes=scopes, created_at=now)
    connection.execute(
        sa.insert(api_key).values(
            id=made.id,
            account_id=account_id,
            name=name,
            digest=_digest_of(text),
            scopes=list(scopes),
            created_at=now,
        )
    )
    return made, text


def authenticate(connection: sa.Connection, text: str) -> ApiKey | None:
    """Return the living key of this text; None when there is none."""
    found = connection.execute(
        sa.select(api_key).where(api_key.c.digest == _digest_of(text), api_key.c.revoked_at.is_(None))
    ).first()
    return None if found is None else _key_of(found)


def note_use(connection: sa.Connection, key: ApiKey, now: datetime) -> None:
    """Remember that the key was used."""
    connection.execute(sa.update(api_key).where(api_key.c.id == key.id).values(last_used_at=now))


def wants_note(key: ApiKey, now: datetime) -> bool:
    """Whether its last use is remembered too coarsely."""
    return key.last_used_at is None or now - key.last_used_at >= timedelta(seconds=USED_EVERY_S)


def list_keys(
    connection: sa.Connection, account_id: str, *, after: str = "", limit: int = 1_000
) -> list[ApiKey]:
    """Return a page of the account's keys, the revoked among them, oldest first."""
    query = sa.select(api_key).where(api_key.c.account_id == account_id, api_key.c.id > after)
    return [_key_of(row) for row in connection.execute(query.order_by(api_key.c.id).limit(limit))]


def revoke(connection: sa.Connection, *, account_id: str, key_id: str, now: datetime) -> bool:
    """Return whether there was such a living key; it opens nothing any more."""
    changed = connection.execute(
        sa.update(api_key)
        .where(
            api_key.c.id == key_id,
            api_key.c.account_id == account_id,
            api_key.c.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    )
    return changed.rowcount == 1


def _digest_of(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _key_of(row: sa.Row[tuple[object, ...]]) -> ApiKey:
    values = row._mapping
    return ApiKey(
        id=values["id"],
        account_id=values["account_id"],
        name=values["name"],
        scopes=tuple(values["scopes"]),
        created_at=values["created_at"],
        last_used_at=values["last_used_at"],
        revoked_at=values["revoked_at"],
    )
