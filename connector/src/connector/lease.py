"""A lease: one connector at a time does what must not be done twice at once."""

from __future__ import annotations

from mailchute.ids import new_id

from connector.shelf import Shelf

HELD_S = 30  # renewed three times within


class Lease:
    """
    Held by who put it on the shelf last, until it is not renewed.

    It keeps work from being done twice; it does not make it safe to be done twice. Whoever holds it
    looks again after what it did.
    """

    def __init__(self, shelf: Shelf, name: str) -> None:
        self._shelf = shelf
        self._key = f"lease.{name}"
        self._owner = new_id("run").encode()
        self._revision = 0

    async def hold(self) -> bool:
        """Take it, or renew it; True while it is ours."""
        revision = await self._shelf.swap(self._key, self._owner, for_s=HELD_S, revision=self._revision)
        if revision is None and self._revision:
            # Ours may have run out, or another may have it.
            revision = await self._shelf.swap(self._key, self._owner, for_s=HELD_S, revision=0)
        self._revision = revision or 0
        return revision is not None
