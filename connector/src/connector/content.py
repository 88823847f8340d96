"""Octets in a record or beside it: references resolved, large ones put aside, all within a budget."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from mailchute.delivery import WebhookDelivery
from mailchute.errors import ContentUnavailable
from mailchute.jetstream import Publisher
from mailchute.mail import ContentRef
from mailchute.objects import delete_object, read_object, write_object
from mailchute.subjects import REF_LIMIT_OCTETS

BUDGET_OCTETS = 96 * 1024 * 1024  # held in memory at once for records that are references


class Contents:
    """Reads and writes the octets that records refer to."""

    def __init__(self, publisher: Publisher, *, budget_octets: int = BUDGET_OCTETS) -> None:
        self._publisher = publisher
        self._free_octets = budget_octets
        self._budget_octets = budget_octets
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def held_octets(self) -> int:
        return self._budget_octets - self._free_octets

    async def fitted(self, octets: bytes, *, name: str) -> bytes | ContentRef:
        """
        Return `octets`, or a reference to an object `name` that holds them where a record would be too large.

        Raises: StreamUnavailable.
        """
        if len(octets) <= min(REF_LIMIT_OCTETS, self._publisher.client.max_payload // 2):
            return octets
        return await write_object(self._publisher, name, octets)

    async def light(self, owed: WebhookDelivery) -> WebhookDelivery:
        """Return what a record may carry of it: a large payload becomes a reference. Raises: as fitted."""
        if not isinstance(owed.payload, bytes):
            return owed
        payload = await self.fitted(owed.payload, name=owed.id)
        return owed if payload is owed.payload else msgspec.structs.replace(owed, payload=payload)

    @asynccontextmanager
    async def resolved(self, content: bytes | ContentRef) -> AsyncIterator[bytes]:
        """
        Give the octets; those of a reference are held against the budget while in use.

        Raises:
            ContentMissing, ContentUnavailable: As read_object.
        """
        if isinstance(content, bytes):
            yield content
            return
        size_octets = min(content.size_octets, self._budget_octets)
        await self._take(size_octets)
        try:
            yield await read_object(self._publisher.client, content)
        finally:
            self._give(size_octets)

    async def discard(self, content: bytes | ContentRef) -> None:
        """Give back what a reference held; what cannot be reached now is swept later."""
        if isinstance(content, ContentRef):
            with contextlib.suppress(ContentUnavailable):
                await delete_object(self._publisher.client, content)

    async def _take(self, octets: int) -> None:
        if octets <= self._free_octets and not self._waiting:
            self._free_octets -= octets
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((octets, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give(octets)
            raise

    def _give(self, octets: int) -> None:
        self._free_octets += octets
        while self._waiting:
            wanted, turn = self._waiting[0]
            if turn.done():
                self._waiting.popleft()
            elif wanted <= self._free_octets:
                self._waiting.popleft()
                self._free_octets -= wanted
                turn.set_result(None)
            else:
                return
