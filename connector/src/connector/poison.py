"""The poison guard: a mail over which the connector itself died, again and again, is not tried for ever."""

from __future__ import annotations

from connector.delivery import Delivery
from connector.shelf import Shelf

SUSPECT_DELIVERED = 5  # hand-outs from which on it is marked while it is worked on
DEATHS_MAX = 3
KEPT_S = 86_400


class Poison:
    """
    Marks lie on the shelf while suspects are worked on: who finds one knows that somebody died over it.

    num_delivered alone would not tell: it also counts every nak, and a function may be away for days.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def is_deadly(self, delivery: Delivery) -> bool:
        """
        Mark a suspect, and return whether it is to be worked on no more. Unmark it afterwards.

        Raises: StreamUnavailable.
        """
        if delivery.num_delivered < SUSPECT_DELIVERED:
            return False
        deaths = int(await self._shelf.get(_key_of(delivery)) or b"0")
        if deaths >= DEATHS_MAX:
            return True
        await self._shelf.put(_key_of(delivery), b"%d" % (deaths + 1), for_s=KEPT_S)
        return False

    async def unmark(self, delivery: Delivery) -> None:
        """The work on it has ended, one way or another. Raises: StreamUnavailable."""
        if delivery.num_delivered >= SUSPECT_DELIVERED:
            await self._shelf.remove(_key_of(delivery))


def _key_of(delivery: Delivery) -> str:
    return f"poison.{delivery.subject.replace('.', '-')}-{delivery.sequence}"
