"""An endpoint as it is kept, its secrets opened."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from mailchute.endpoint import Endpoint
from mailchute.plans import allows
from mailchute.sealing import Place, Sealer
from mailchute.tables import account, endpoint, plan


def endpoint_of(
    connection: sa.Connection, endpoint_id: str, sealer: Sealer, now: datetime
) -> Endpoint | None:
    """
    Return the endpoint, its secrets opened; None when there never was one.

    Raises:
        SecretUnreadable: A secret does not open.
    """
    row = connection.execute(_ENDPOINT, {"id": endpoint_id.replace("\x00", "\ufffd")}).first()
    if row is None:
        return None

    def opened(column: str) -> str | None:
        sealed = getattr(row, column)
        return None if sealed is None else sealer.open(bytes(sealed), place_of(row, column))

    secrets = [opened("secret")]
    if row.previous_secret_until is not None and row.previous_secret_until > now:
        secrets.append(opened("previous_secret"))
    headers = opened("headers")
    is_signed = allows(row.permissions, "webhooks.signing")
    return Endpoint(
        id=row.id,
        account_id=row.account_id,
        url=row.url,
        secrets=tuple(secret for secret in secrets if secret is not None and is_signed),
        format=row.format,
        include=tuple(row.include),
        headers=msgspec.json.decode(headers, type=tuple[tuple[str, str], ...]) if headers else (),
        basic_auth=opened("basic_auth"),
        signing_key=opened("signing_key"),
        body_limit_octets=row.body_limit_octets,
        is_disabled=row.disabled_at is not None,
        disabled_reason=row.disabled_reason,
        is_deleted=row.deleted_at is not None,
        signs_v1a=row.signs_v1a and is_signed,
        client_certificate=opened("client_certificate"),
        rate_per_s=row.rate_per_s,
        is_unverified=row.wants_challenge and row.verified_at is None,
    )


def place_of(row: Any, column: str) -> Place:
    """Return where a sealed column of this endpoint's row stands."""
    return Place(table="endpoint", column=column, row_id=row.id, account_id=row.account_id)


_ENDPOINT = (
    sa.select(endpoint, plan.c.permissions)
    .join(account, account.c.id == endpoint.c.account_id)
    .outerjoin(plan, plan.c.name == account.c.plan_name)
    .where(endpoint.c.id == sa.bindparam("id"))
)
