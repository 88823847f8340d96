"""Which of our domains have nobody behind a mailbox that every domain has to have."""

from __future__ import annotations

import sqlalchemy as sa

from mailchute.envelope import Path
from mailchute.lookup import alias_of
from mailchute.tables import alias, domain

OFFICES = ("postmaster", "abuse")  # RFC 5321, 4.5.1; RFC 2142, 4


def unattended(connection: sa.Connection) -> dict[str, tuple[str, ...]]:
    """Return the domains that have aliases, but none that takes these: by name, what is missing."""
    found: dict[str, tuple[str, ...]] = {}
    for office in OFFICES:
        for name in connection.scalars(_WITHOUT, {"office": office}).all():
            if alias_of(connection, Path(office, name)) is None:  # a pattern may take it
                found[name] = (*found.get(name, ()), office)
    return found


_LIVE = sa.and_(alias.c.domain_id == domain.c.id, alias.c.deleted_at.is_(None))
_TAKES = sa.or_(
    alias.c.kind == "catch-all", sa.and_(alias.c.kind == "exact", alias.c.match == sa.bindparam("office"))
)
_WITHOUT = (
    sa.select(domain.c.name)
    .where(
        domain.c.deleted_at.is_(None),
        sa.exists().where(_LIVE),
        ~sa.exists().where(_LIVE, _TAKES),
    )
    .order_by(domain.c.name)
)
