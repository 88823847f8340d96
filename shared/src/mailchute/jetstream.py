"""
Publishing to JetStream: a connection that comes back for ever, and receipts that are checked.

A publish counts only with its PubAck, from the stream it was meant for. What was reported as
unavailable may have been stored all the same; every message id is derived from the work, so that
publishing it again is harmless.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from mailchute import eventlog
from mailchute.errors import StreamUnavailable
from mailchute.ids import new_id
from mailchute.receipt import TIMEOUT_S, Begun, GoSingly, Receipt

__all__ = ["Publication", "Publisher", "Receipt", "connect"]

PING_INTERVAL_S = 5  # a server that hangs is noticed after three pings
RECONNECT_WAIT_S = 0.25
BATCH_MAX = 1_000  # messages in one atomic batch (ADR-50, "Limits")


@dataclass(frozen=True, slots=True)
class Publication:
    """One message to be published."""

    subject: str
    body: bytes
    stream: str  # whose receipt counts
    message_id: str | None = None  # None: published twice, it is there twice


async def connect(url: str, *, name: str) -> Client:
    """
    Return a connection, once the server answers; it then reconnects for ever.

    While it is away a publish fails at once instead of being kept for later. A connection may still
    be closed for good by an error the server does not forgive: watch `client.is_closed`.

    Args:
        url: Of one server, or of several of a cluster, divided by commas.
        name: Shown in the server's /connz.
    """
    log = eventlog.event_log(name)

    async def tell(error: Exception) -> None:
        log.warning("nats-trouble", reason=f"{type(error).__name__}: {error}")

    while True:
        try:
            return await nats.connect(
                [each.strip() for each in url.split(",")],
                name=name,
                error_cb=tell,
                max_reconnect_attempts=-1,
                reconnect_time_wait=RECONNECT_WAIT_S,
                connect_timeout=TIMEOUT_S,
                ping_interval=PING_INTERVAL_S,
                max_outstanding_pings=2,
                pending_size=0,  # do not keep publishes while disconnected
                skip_subject_validation=True,  # ours come from mailchute.subjects
            )
        except (NatsError, OSError, TimeoutError) as error:
            await tell(error)
            await asyncio.sleep(RECONNECT_WAIT_S)


class Publisher:
    """Publishes with a receipt, many at once over one inbox."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._inbox = client.new_inbox()
        self._waiting: dict[str, asyncio.Future[bytes]] = {}
        self._count = 0
        self._listening = asyncio.Lock()
        self._subscription: Subscription | None = None

    async def publish(
        self,
        subject: str,
        body: bytes,
        *,
        stream: str,
        message_id: str | None = None,
        timeout_s: float = TIMEOUT_S,
        headers: dict[str, str] | None = None,
    ) -> Receipt:
        """
        Publish one message and return its receipt.

        Args:
            headers: Further ones; mind that a header costs more CPU than its octets suggest.

        Raises:
            StreamFull: The stream, or this subject on it, takes nothing new for now.
            StreamUnavailable: No receipt in time. It may have been stored.
            PermanentError: It is larger than the stream ever takes.
        """
        begun = await self.begin(subject, body, stream=stream, message_id=message_id, headers=headers)
        return await begun.receipt(timeout_s)

    async def begin(
        self,
        subject: str,
        body: bytes,
        *,
        stream: str,
        message_id: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Begun:
        """
        Send one message, after all that were sent before it, and return what its receipt comes to.

        Raises:
            StreamUnavailable: It could not be sent.
        """
        if self._subscription is None:
            await self._listen()
        if message_id is not None:
            headers = {**(headers or {}), "Nats-Msg-Id": message_id}
        self._count += 1
        token = str(self._count)
        begun = Begun(stream, self._waiting, token)
        try:
            await self._send(subject, body, headers, f"{self._inbox}.{token}")
        except StreamUnavailable:
            begun.forget()
            raise
        return begun

    async def publish_all(
        self, publications: list[Publication], *, timeout_s: float = TIMEOUT_S
    ) -> list[Receipt]:
        """
        Publish messages for one stream, all or none where the server offers it.

        If one is a duplicate, or the stream has no atomic publish, they go singly: some may then be
        stored when this raises, and will be duplicates the next time.

        Raises: As publish.
        """
        if len(publications) > 1 and len(publications) <= BATCH_MAX:
            try:
                return await self._publish_batch(publications, timeout_s)
            except GoSingly:
                pass
        return [
            await self.publish(
                each.subject, each.body, stream=each.stream, message_id=each.message_id, timeout_s=timeout_s
            )
            for each in publications
        ]

    async def _publish_batch(self, publications: list[Publication], timeout_s: float) -> list[Receipt]:
        batch = new_id("evt")
        last = len(publications)
        for sequence, each in enumerate(publications, 1):
            headers = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(sequence)}
            if sequence == last:
                headers["Nats-Batch-Commit"] = "1"
            if 1 < sequence < last:
                if each.message_id is not None:
                    headers["Nats-Msg-Id"] = each.message_id
                await self._send(each.subject, each.body, headers, "")
                continue
            begun = await self.begin(
                each.subject, each.body, stream=each.stream, message_id=each.message_id, headers=headers
            )
            if sequence == 1:  # the answer is empty, and says that a batch may begin
                await begun.opened(timeout_s)
        receipt = await begun.receipt(timeout_s)
        return [Receipt(receipt.sequence - last + number, False) for number in range(1, last + 1)]

    async def _send(self, subject: str, body: bytes, headers: dict[str, str] | None, reply: str) -> None:
        try:
            await self.client.publish(subject, body, reply=reply, headers=headers)
        except (NatsError, OSError) as error:
            raise StreamUnavailable(f"not sent: {type(error).__name__}") from error

    async def _listen(self) -> None:
        async with self._listening:
            if self._subscription is None:
                try:
                    self._subscription = await self.client.subscribe(f"{self._inbox}.*", cb=self._answered)
                except (NatsError, OSError) as error:
                    raise StreamUnavailable(f"not connected: {type(error).__name__}") from error

    async def _answered(self, message: Msg) -> None:
        answer = self._waiting.get(message.subject.rpartition(".")[2])
        if answer is None or answer.done():
            return
        if not message.data and message.headers and message.headers.get("Status") == "503":
            answer.set_exception(StreamUnavailable("no such stream"))
        else:
            answer.set_result(message.data)
