"""A mail that came as winmail.dat reads as if it had come in MIME."""

from __future__ import annotations

from .bodies import Bodies, Slot
from .tnef import is_tnef, opened


def open_tnef(bodies: Bodies) -> None:
    """Add what is in each winmail.dat: its files always, its text where the mail has none of its own."""
    for part in bodies.attachments:
        if not is_tnef(part.entity.media_type, part.filename):
            continue
        found = opened(part.entity.body())
        bodies.files.extend(found.files)
        if not bodies.slots and (found.text or found.html):
            bodies.slots.append(Slot(found.text or None, found.html or None))
