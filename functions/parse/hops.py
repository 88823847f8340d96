"""The way a mail came: its Received fields (RFC 5321, 4.4), read by mail-parser. Made only when asked for."""

from __future__ import annotations

from typing import Any

from mailchute.payload import Hop
from mailparser.utils import receiveds_parsing

from .header_section import HeaderSection
from .words import unfolded

HOPS_MAX_COUNT = 100  # RFC 5321, 6.3: a mail with more is in a loop


def hops_of(section: HeaderSection) -> tuple[Hop, ...]:
    """Return the hops, oldest first; () where none can be read."""
    bodies = [unfolded(body) for body in section.all("received")[:HOPS_MAX_COUNT]]
    if not bodies:
        return ()
    try:
        found = receiveds_parsing(bodies)
    except Exception:  # noqa: BLE001 - the library raises what its patterns meet; the fields are in headers anyway
        return ()
    return tuple(_hop(each) for each in found)


def _hop(found: dict[str, Any]) -> Hop:
    date, delay = found.get("date_utc"), found.get("delay")
    texts = {name: _text(found.get(name)) for name in ("from", "by", "with", "id", "for")}
    return Hop(
        from_=texts["from"],
        by=texts["by"],
        with_=texts["with"],
        id=texts["id"],
        for_=texts["for"],
        date=str(date) if date else None,
        delay_s=float(delay) if isinstance(delay, (int, float)) else None,
    )


def _text(value: object) -> str | None:
    return str(value) if value else None
