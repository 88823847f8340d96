"""Endpoints as the API makes, changes and removes them, one at a time; their secrets sealed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from mailchute.ids import new_id
from mailchute.sealing import Place, Sealer
from mailchute.signing import new_secret
from mailchute.store.endpoints import ROTATION_S, moved
from mailchute.store.refusals import OverPlan, Taken
from mailchute.tables import endpoint

SEALED = ("secret", "headers", "basic_auth", "signing_key", "client_certificate")
ENDPOINTS_MAX_COUNT = 10  # of one alias: a mail is POSTed to each


def create_endpoint(
    connection: sa.Connection,
    *,
    account_id: str,
    alias_id: str,
    url: str,
    columns: dict[str, Any],
    sealer: Sealer,
    now: datetime,
) -> tuple[str, str | None]:
    """
    Return the id of the new endpoint of an alias that is locked (mailchute.store.aliases.lock_alias), and
    the secret when one was made.

    Args:
        columns: The rest, secrets as text.

    Raises:
        Taken: The alias has an endpoint of this URL: each mail would be POSTed to it twice.
        OverPlan: The alias has as many as one can have.
    """
    living = connection.execute(
        sa.select(endpoint.c.url, endpoint.c.position).where(
            endpoint.c.alias_id == alias_id, endpoint.c.deleted_at.is_(None)
        )
    ).all()
    _check_url(url, {row.url for row in living})
    if len(living) >= ENDPOINTS_MAX_COUNT:
        raise OverPlan(f"an alias has up to {ENDPOINTS_MAX_COUNT} endpoints")
    endpoint_id = new_id("end")
    made = None if columns.get("secret") is not None else new_secret()
    texts = {**columns, "secret": made or columns["secret"]}
    connection.execute(
        sa.insert(endpoint).values(
            id=endpoint_id,
            account_id=account_id,
            alias_id=alias_id,
            url=url,
            position=max((row.position for row in living), default=-1) + 1,
            secret_is_generated=made is not None,
            enabled_at=now,
            created_at=now,
            origin="api",
            **_sealed(texts, sealer, account_id, endpoint_id),
        )
    )
    return endpoint_id, made


def change_endpoint(
    connection: sa.Connection,
    *,
    account_id: str,
    endpoint_id: str,
    columns: dict[str, Any],
    sealer: Sealer,
    now: datetime,
) -> None:
    """
    Change these columns, secrets as text; None takes one away.

    Raises:
        Taken: The alias has another endpoint of the new URL.
    """
    if not columns:
        return
    if "url" in columns:
        mine = sa.select(endpoint.c.alias_id).where(endpoint.c.id == endpoint_id).scalar_subquery()
        others = connection.scalars(
            sa.select(endpoint.c.url).where(
                endpoint.c.alias_id == mine, endpoint.c.id != endpoint_id, endpoint.c.deleted_at.is_(None)
            )
        )
        _check_url(columns["url"], set(others))
        reason = connection.scalar(sa.select(endpoint.c.disabled_reason).where(endpoint.c.id == endpoint_id))
        columns = columns | moved(reason, now)
    connection.execute(
        sa.update(endpoint)
        .where(endpoint.c.id == endpoint_id)
        .values(_sealed(columns, sealer, account_id, endpoint_id))
    )


def rotate_secret(
    connection: sa.Connection,
    *,
    account_id: str,
    endpoint_id: str,
    secret: str | None,
    sealer: Sealer,
    now: datetime,
) -> str:
    """
    Return the endpoint's new secret, made when none is given; the former signs beside it for a day.

    Raises:
        SecretUnreadable: The former does not open.
    """
    new = new_secret() if secret is None else secret
    former = connection.scalar(sa.select(endpoint.c.secret).where(endpoint.c.id == endpoint_id))
    opened = sealer.open(bytes(former or b""), _place("secret", account_id, endpoint_id))
    if opened != new:
        texts = {"secret": new, "previous_secret": opened}
        connection.execute(
            sa.update(endpoint)
            .where(endpoint.c.id == endpoint_id)
            .values(
                secret_is_generated=secret is None,
                previous_secret_until=now + timedelta(seconds=ROTATION_S),
                **{
                    name: sealer.seal(text, _place(name, account_id, endpoint_id))
                    for name, text in texts.items()
                },
            )
        )
    return new


def remove_endpoint(connection: sa.Connection, endpoint_id: str, now: datetime) -> None:
    """Take the endpoint away; mail still waiting for it is told why."""
    connection.execute(sa.update(endpoint).where(endpoint.c.id == endpoint_id).values(deleted_at=now))


def lock_endpoint(connection: sa.Connection, account_id: str, endpoint_id: str) -> str | None:
    """Return the alias id of the account's endpoint, which nobody changes until our end; None: no such."""
    found: str | None = connection.scalar(
        sa.select(endpoint.c.alias_id)
        .where(
            endpoint.c.id == endpoint_id,
            endpoint.c.account_id == account_id,
            endpoint.c.deleted_at.is_(None),
        )
        .with_for_update()
    )
    return found


def _check_url(url: str, others: set[str]) -> None:
    if url in others:
        raise Taken(f"{url}: the alias has an endpoint of this URL already")


def _sealed(columns: dict[str, Any], sealer: Sealer, account_id: str, endpoint_id: str) -> dict[str, Any]:
    return {
        name: sealer.seal(value, _place(name, account_id, endpoint_id))
        if name in SEALED and value is not None
        else value
        for name, value in columns.items()
    }


def _place(column: str, account_id: str, endpoint_id: str) -> Place:
    return Place(table="endpoint", column=column, row_id=endpoint_id, account_id=account_id)
