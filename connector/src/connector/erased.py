"""Mails that were erased: what is still owed of them is dropped wherever it is met."""

from __future__ import annotations

from nats.aio.client import Client
from nats.aio.msg import Msg

from connector.shelf import Shelf, subject_of

KEPT_S = 30 * 86_400  # far longer than the retry schedule

PREFIX = "erased"


class Erased:
    """Every connector knows at once: a put on the shelf is a message that all of them hear."""

    def __init__(self, client: Client, shelf: Shelf) -> None:
        self._client = client
        self._shelf = shelf
        self._mail_ids: set[str] = set()

    def __contains__(self, mail_id: str) -> bool:
        return mail_id in self._mail_ids

    async def add(self, mail_id: str) -> None:
        """Raises: StreamUnavailable."""
        await self._shelf.put(f"{PREFIX}.{mail_id}", b"", for_s=KEPT_S)
        self._mail_ids.add(mail_id)

    async def listen(self) -> None:
        """Hear of what is erased from now on, and learn what was before. Raises: StreamUnavailable."""
        await self._client.subscribe(subject_of(f"{PREFIX}.*"), cb=self._heard)
        await self.learn()

    async def learn(self) -> None:
        """Raises: StreamUnavailable."""
        self._mail_ids.update(await self._shelf.all_under(PREFIX))

    async def _heard(self, message: Msg) -> None:
        self._mail_ids.add(message.subject.rpartition(".")[2])
