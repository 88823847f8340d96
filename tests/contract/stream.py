"""A stream in memory, for tests that want no server: what it promises is tested against the real one."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailchute.errors import StreamFull, StreamUnavailable
from mailchute.jetstream import Publication
from mailchute.receipt import Receipt


@dataclass
class FakeStream:
    """Stands in for mailchute.jetstream.Publisher and one stream behind it."""

    name: str
    subject_prefix: str
    max_messages: int = 1_000_000
    is_away: bool = False
    messages: list[tuple[str, bytes]] = field(default_factory=list)
    _sequences: dict[str, int] = field(default_factory=dict)  # by message id

    async def publish(
        self,
        subject: str,
        body: bytes,
        *,
        stream: str,
        message_id: str | None = None,
        timeout_s: float = 5.0,
        headers: dict[str, str] | None = None,
    ) -> Receipt:
        """Raises: as Publisher.publish."""
        if self.is_away:
            raise StreamUnavailable(f"no receipt within {timeout_s:g} s")
        if not subject.startswith(self.subject_prefix):
            raise StreamUnavailable("no such stream")
        if message_id is not None and message_id in self._sequences:
            return Receipt(self._sequences[message_id], True)
        if len(self.messages) >= self.max_messages:
            raise StreamFull(f"{self.name}: maximum messages exceeded")
        self.messages.append((subject, body))
        if message_id is not None:
            self._sequences[message_id] = len(self.messages)
        if stream != self.name:
            raise StreamUnavailable(f"stored on {self.name!r}, not on {stream}")
        return Receipt(len(self.messages), False)

    async def publish_all(self, publications: list[Publication], *, timeout_s: float = 5.0) -> list[Receipt]:
        """Raises: as Publisher.publish_all."""
        ids = {each.message_id for each in publications if each.message_id is not None}
        is_atomic = not ids & self._sequences.keys()
        if is_atomic and len(self.messages) + len(publications) > self.max_messages:
            raise StreamFull(f"{self.name}: maximum messages exceeded")
        return [
            await self.publish(
                each.subject, each.body, stream=each.stream, message_id=each.message_id, timeout_s=timeout_s
            )
            for each in publications
        ]
