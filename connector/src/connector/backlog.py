"""How much waits on each lane: counted by the stream, weighed by what passed through here."""

from __future__ import annotations

from mailchute import subjects
from mailchute.delivery import WebhookDelivery
from mailchute.errors import StreamFull
from mailchute.mail import ContentRef
from mailchute.stored import read_stored, subjects_of
from nats.aio.client import Client


class Backlog:
    """
    Messages and octets on RETRY by endpoint.

    The stream counts messages per subject but not their octets, so these are estimated: the count when
    last looked at, times the mean of what was put there, and what was put there since.
    """

    def __init__(self, client: Client, max_octets: int) -> None:
        self._client = client
        self._max_octets = max_octets
        self._mean_octets: dict[str, float] = {}
        self._octets: dict[str, float] = {}

    def add(self, endpoint_id: str, octets: int) -> None:
        """
        Reckon with one more.

        Raises:
            StreamFull: The endpoint's budget is used up.
        """
        waiting = self._octets.get(endpoint_id, 0.0) + octets
        if waiting > self._max_octets:
            raise StreamFull(f"over {self._max_octets} octets wait for {endpoint_id}")
        self._octets[endpoint_id] = waiting
        mean = self._mean_octets.get(endpoint_id, octets)
        self._mean_octets[endpoint_id] = mean + (octets - mean) / 16  # the recent ones count most

    async def look(self) -> dict[str, int]:
        """Return how many messages wait for each endpoint. Raises: StreamUnavailable."""
        counts = await self.counts(subjects.RETRY_ALL)
        for endpoint_id in counts:
            if endpoint_id not in self._mean_octets:
                subject = subjects.retry_subject_of(endpoint_id)
                last = await read_stored(self._client, subjects.RETRY, subject=subject)
                self._mean_octets[endpoint_id] = len(last.body) if last is not None else 0
        self._octets = {key: count * self._mean_octets[key] for key, count in counts.items()}
        self._mean_octets = {key: self._mean_octets[key] for key in counts}
        return counts

    async def counts(self, subject: str) -> dict[str, int]:
        """Return how many messages lie on each matching subject, by endpoint. Raises: StreamUnavailable."""
        found = await subjects_of(self._client, subjects.RETRY, subject)
        return {name.partition(".")[2]: count for name, count in found.items()}


def octets_of(owed: WebhookDelivery, record: bytes) -> int:
    """Return what the delivery weighs, with the payload that it may only refer to."""
    beside = owed.payload.size_octets if isinstance(owed.payload, ContentRef) else 0
    return len(record) + beside
