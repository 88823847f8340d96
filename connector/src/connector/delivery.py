"""One hand-out of a message by JetStream, and what can be said about it (ADR-15)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Self

from mailchute import subjects, wire
from mailchute.delivery import WebhookDelivery
from nats.aio.client import Client
from nats.aio.msg import Msg

_V1_TOKENS = 9  # $JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<…>; v2 has domain and account before


@dataclass(slots=True)
class Delivery:
    """A message in our hands until it is acknowledged or its lease ends."""

    client: Client
    subject: str
    body: bytes
    reply: str
    sequence: int  # on the stream
    num_delivered: int  # counts from 1
    taken_at: float = field(default_factory=time.monotonic)
    is_settled: bool = False

    @classmethod
    def of(cls, client: Client, message: Msg) -> Self:
        tokens = message.reply.split(".")
        first = 2 if len(tokens) == _V1_TOKENS else 4
        return cls(
            client=client,
            subject=message.subject,
            body=message.data,
            reply=message.reply,
            num_delivered=int(tokens[first + 2]),
            sequence=int(tokens[first + 3]),
        )

    async def ack(self) -> None:
        """Done. Raises: nats' errors when it cannot be sent; it then comes again, which is harmless."""
        self.is_settled = True
        await self.client.publish(self.reply, b"")

    async def nak(self, delay_s: float) -> None:
        """Not done; hand it out again after `delay_s`."""
        self.is_settled = True
        body = b'-NAK {"delay": %d}' % int(delay_s * 1e9) if delay_s > 0 else b"-NAK"
        await self.client.publish(self.reply, body)

    async def in_progress(self) -> None:
        """Renew the lease."""
        if not self.is_settled:
            await self.client.publish(self.reply, b"+WPI")


class InHand:
    """
    What is owed before it is on any stream: the one copy of it is in memory, its mail not yet acknowledged.

    It is acknowledged with its mail, once it needs that no more.
    """

    subject = subjects.DELIVERY_FRESH
    num_delivered = 1

    def __init__(self, owed: WebhookDelivery) -> None:
        self._owed = owed

    @property
    def body(self) -> bytes:
        return wire.encode(self._owed)

    async def ack(self) -> None:
        """There is nothing of its own to acknowledge."""
