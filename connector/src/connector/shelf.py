"""The shelf: small facts that connectors share, one per key, each until its time is over."""

from __future__ import annotations

from mailchute.errors import StreamUnavailable
from mailchute.jetstream import Publisher
from mailchute.stored import Stored, purge, read_run, read_stored

from connector.streams import BUCKET

STREAM = f"KV_{BUCKET}"


def subject_of(key: str) -> str:
    return f"$KV.{BUCKET}.{key}"


class Shelf:
    """A key-value bucket (ADR-8) on JetStream."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def put(self, key: str, value: bytes, *, for_s: int) -> int:
        """Put a value there for `for_s` seconds; returns its revision. Raises: StreamUnavailable."""
        return await self._put(key, value, {"Nats-TTL": f"{for_s}s"})

    async def swap(self, key: str, value: bytes, *, for_s: int, revision: int) -> int | None:
        """
        Put a value there if the one that lies there has this revision (0: if none does).

        Returns:
            Its revision; None when another was faster, or the server did not answer.
        """
        headers = {"Nats-TTL": f"{for_s}s", "Nats-Expected-Last-Subject-Sequence": str(revision)}
        try:
            return await self._put(key, value, headers)
        except StreamUnavailable:
            return None

    async def get(self, key: str) -> bytes | None:
        """Return what lies there. Raises: StreamUnavailable."""
        stored = await read_stored(self._publisher.client, STREAM, subject=subject_of(key))
        return None if stored is None else stored.body

    async def remove(self, key: str) -> None:
        """Raises: StreamUnavailable."""
        await purge(self._publisher.client, STREAM, subject_of(key))

    async def all_under(self, prefix: str) -> list[str]:
        """Return the keys `<prefix>.*` without the prefix. Raises: StreamUnavailable."""
        keys: list[str] = []
        page: list[Stored] = []
        while page or not keys:
            page = await read_run(
                self._publisher.client,
                STREAM,
                subject_of(f"{prefix}.*"),
                from_sequence=page[-1].sequence + 1 if page else 1,
                count=1_000,
            )
            if not page:
                break
            keys += [stored.subject.rpartition(".")[2] for stored in page]
        return keys

    async def _put(self, key: str, value: bytes, headers: dict[str, str]) -> int:
        receipt = await self._publisher.publish(subject_of(key), value, stream=STREAM, headers=headers)
        return receipt.sequence
