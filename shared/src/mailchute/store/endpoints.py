"""Endpoints as they are kept: written with their secrets sealed, enabled and disabled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from mailchute.sealed_endpoint import place_of
from mailchute.sealing import Place, Sealer
from mailchute.signing import new_secret
from mailchute.store import account_events
from mailchute.store.account_events import AccountEvent
from mailchute.store.wanted import Change, WantedEndpoint
from mailchute.tables import endpoint

BY_OWNER = "by its owner"  # disabled_reason
ROTATION_S = 86_400  # how long the former secret goes on signing beside a new one

_PLAIN_FIELDS = ("position", "url", "format", "signs_v1a", "rate_per_s", "wants_challenge", "origin")
_SEALED_FIELDS = ("headers", "basic_auth", "signing_key", "client_certificate")


class EndpointWriter:
    """Makes the endpoints of an alias those that are wanted, and notes what it changed."""

    def __init__(
        self,
        connection: sa.Connection,
        account_id: str,
        sealer: Sealer,
        now: datetime,
        make_id: Callable[[str], str],
        changes: list[Change],
    ) -> None:
        self._connection = connection
        self._account_id = account_id
        self._sealer = sealer
        self._now = now
        self._make_id = make_id
        self._changes = changes

    def write(
        self, alias_id: str, address: str, wanted: tuple[WantedEndpoint, ...], *, prune: bool = False
    ) -> None:
        """
        Args:
            prune: Take away what the API made as well.

        Raises:
            SecretUnreadable: A secret that is there does not open.
        """
        rows = self._connection.execute(
            sa.select(endpoint)
            .where(endpoint.c.alias_id == alias_id)
            .order_by(endpoint.c.deleted_at.is_(None), endpoint.c.deleted_at, endpoint.c.id)
        )
        known = {row.url: row for row in rows}
        urls = {one.url for one in wanted}
        vanished = {
            row.position: row
            for url, row in known.items()
            if url not in urls and row.deleted_at is None and (prune or row.origin == "file")
        }
        for position, one in enumerate(wanted):
            if one.url in known:
                self._keep(known[one.url], address, position, one)
            elif position in vanished:
                # Another URL in its place: what waits for it goes there, signed with the same secret.
                self._keep(vanished.pop(position), address, position, one)
            else:
                self._add(alias_id, address, position, one)
        for row in vanished.values():
            self._set(row.id, deleted_at=self._now)
            self._note("remove", address, row.url, row.id)

    def _add(self, alias_id: str, address: str, position: int, one: WantedEndpoint) -> None:
        endpoint_id = self._make_id("end")
        secret = new_secret() if one.secret is None else one.secret
        self._connection.execute(
            sa.insert(endpoint).values(
                id=endpoint_id,
                account_id=self._account_id,
                alias_id=alias_id,
                position=position,
                url=one.url,
                format=one.format,
                signs_v1a=one.signs_v1a,
                rate_per_s=one.rate_per_s,
                wants_challenge=one.wants_challenge,
                include=list(one.include),
                secret=self._sealed(endpoint_id, "secret", secret),
                secret_is_generated=one.secret is None,
                enabled_at=self._now,
                created_at=self._now,
                **{
                    field: self._sealed(endpoint_id, field, text)
                    for field, text in _secret_texts(one).items()
                },
            )
        )
        self._note("add", address, one.url, endpoint_id, secret=secret if one.secret is None else None)

    def _keep(self, row: Any, address: str, position: int, one: WantedEndpoint) -> None:
        plain: dict[str, Any] = {"position": position, "origin": "file", "include": list(one.include)}
        plain |= {name: getattr(one, name) for name in _PLAIN_FIELDS if name not in plain}
        columns = {name: value for name, value in plain.items() if getattr(row, name) != value}
        for field, text in _secret_texts(one).items():
            if text != self._opened(row, field):
                columns[field] = self._sealed(row.id, field, text)
        former = self._opened(row, "secret")
        if one.secret is not None and one.secret != former:
            # Both sign for a day, so that the receiver can change over without losing a mail.
            columns["secret"] = self._sealed(row.id, "secret", one.secret)
            columns["secret_is_generated"] = False
            columns["previous_secret"] = self._sealed(row.id, "previous_secret", former)
            columns["previous_secret_until"] = self._now + timedelta(seconds=ROTATION_S)
        fields = tuple(
            name for name in columns if name in (*_PLAIN_FIELDS, *_SEALED_FIELDS, "include", "secret")
        )
        if row.deleted_at is not None:
            columns |= {
                "deleted_at": None,
                "disabled_at": None,
                "disabled_reason": None,
                "enabled_at": self._now,
                "failing_since": None,
                "verified_at": None,
            }
            self._note("add", address, one.url, row.id)
        elif fields:
            before = {name: _shown(name, getattr(row, name)) for name in fields}
            after = {name: _shown(name, columns[name]) for name in fields}
            self._note("change", address, one.url, row.id, fields=fields, before=before, after=after)
        if "url" in columns:
            columns |= moved(row.disabled_reason, self._now)
        if columns:
            self._set(row.id, **columns)

    def _set(self, endpoint_id: str, **columns: Any) -> None:
        self._connection.execute(sa.update(endpoint).where(endpoint.c.id == endpoint_id).values(columns))

    def _sealed(self, endpoint_id: str, column: str, text: str | None) -> bytes | None:
        place = Place(table="endpoint", column=column, row_id=endpoint_id, account_id=self._account_id)
        return None if text is None else self._sealer.seal(text, place)

    def _opened(self, row: Any, column: str) -> str | None:
        sealed = getattr(row, column)
        return None if sealed is None else self._sealer.open(bytes(sealed), place_of(row, column))

    def _note(self, kind: Any, address: str, url: str, endpoint_id: str, **fields: Any) -> None:
        self._changes.append(
            Change(kind=kind, what="endpoint", name=f"{address} → {url}", id=endpoint_id, **fields)
        )


def moved(disabled_reason: str | None, now: datetime) -> dict[str, Any]:
    """Return the columns that go with another URL: what the former receiver did counts for nothing there."""
    columns: dict[str, Any] = {"verified_at": None, "failing_since": None}
    if disabled_reason not in (None, BY_OWNER):
        columns |= {"disabled_at": None, "disabled_reason": None, "enabled_at": now}
    return columns


def enable_endpoint(
    connection: sa.Connection, *, account_id: str, endpoint_id: str, is_enabled: bool, now: datetime
) -> bool:
    """
    Return whether the account has such an endpoint; it is enabled, or disabled by its owner.

    What failed before counts no longer: it has the whole time again before it is disabled for failing.
    """
    values: dict[str, Any] = {
        "disabled_at": None,
        "disabled_reason": None,
        "enabled_at": now,
        "failing_since": None,
    }
    if not is_enabled:
        values = {"disabled_at": now, "disabled_reason": BY_OWNER}
    changed = connection.execute(
        sa.update(endpoint)
        .where(
            endpoint.c.id == endpoint_id,
            endpoint.c.account_id == account_id,
            endpoint.c.deleted_at.is_(None),
        )
        .values(values)
    )
    if changed.rowcount != 1:
        return False
    told = AccountEvent(
        account_id=account_id,
        at=now,
        kind="endpoint.enabled" if is_enabled else "endpoint.disabled",
        endpoint_id=endpoint_id,
        detail={"reason": BY_OWNER},
    )
    account_events.add(connection, told)
    return True


def _secret_texts(one: WantedEndpoint) -> dict[str, str | None]:
    headers = msgspec.json.encode(one.headers).decode() if one.headers else None
    return {
        "headers": headers,
        "basic_auth": one.basic_auth,
        "signing_key": one.signing_key,
        "client_certificate": one.client_certificate,
    }


def _shown(name: str, value: Any) -> Any:
    """Return the value as the audit trail may have it: of what is sealed, whether it is set."""
    if name in (*_SEALED_FIELDS, "secret"):
        return None if value is None else "set"
    return value
