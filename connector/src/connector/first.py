"""First attempts: made while their mail is in hand where they can begin at once; the others ride DELIVERY."""

from __future__ import annotations

from mailchute import subjects, wire
from mailchute.delivery import WebhookDelivery

from connector.content import Contents
from connector.deliveries import Deliveries
from connector.fresh import Fresh
from connector.function import Function
from connector.journal import Journal

AT_ONCE_MAX = 128  # mails waiting for their endpoints beside those that are read; deliver serves 512 calls
AT_ONCE_OCTETS = 32 * 1024 * 1024  # of payloads that rest in memory alone meanwhile
SETTLED_MAX = 20_000


class FirstAttempts:
    """
    Sees to it that what is owed is either settled or on a stream (docs/adr/0017).

    `count` attempts are being made at once: so many mails in hand cost no slot of those that are read.
    """

    def __init__(
        self, deliveries: Deliveries, fresh: Fresh, contents: Contents, deliver: Function, journal: Journal
    ) -> None:
        self.count = 0
        self._octets = 0
        self._settled: dict[str, None] = {}  # the last ones: a mail may come again for another's sake
        self._deliveries = deliveries
        self._fresh = fresh
        self._contents = contents
        self._deliver = deliver
        self._journal = journal

    async def owe(self, owed: WebhookDelivery, *, at_once: bool) -> None:
        """
        Return once this delivery needs its mail no more.

        Args:
            owed: With the whole payload in it, however large.
            at_once: Nobody can have POSTed it before: its mail is handed out for the first time.

        Raises:
            TransientError, PermanentError: It is not sure to be on any stream.
        """
        if owed.id in self._settled:
            return  # NATS was killed and forgot the mail's ack; or it came again for another endpoint's sake
        octets = len(owed.payload) if isinstance(owed.payload, bytes) else 0
        if at_once and self._can_begin(octets):
            await self._attempt(owed, octets)
            return
        message_id = subjects.fresh_id_of(owed.mail_id, owed.endpoint_id, owed.run)
        await self._fresh.publish(wire.encode(await self._contents.light(owed)), message_id)

    async def _attempt(self, owed: WebhookDelivery, octets: int) -> None:
        self.count += 1
        self._octets += octets
        try:
            await self._deliveries.attempt_at_once(owed)
        finally:
            self.count -= 1
            self._octets -= octets
        self._settled[owed.id] = None
        if len(self._settled) > SETTLED_MAX:
            del self._settled[next(iter(self._settled))]

    def _can_begin(self, octets: int) -> bool:
        has_room = self.count < AT_ONCE_MAX and self._octets + octets <= AT_ONCE_OCTETS
        return has_room and self._deliver.is_there.is_set() and not self._journal.is_failing
