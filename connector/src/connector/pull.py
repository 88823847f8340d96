"""Pulling from one consumer: as many messages as there are free slots, their leases kept alive."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable

from mailchute.eventlog import event_log
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from connector.delivery import Delivery

EXPIRES_S = 30.0  # of one pull request; asked again then
HEARTBEAT_S = 5.0  # the server's sign that it still knows of the request
LOOK_S = 0.5  # how often it is looked at whether the connection is still the same
GATHER_S = 0.01  # slots that come free within this ask together
RECORD_OCTETS = 2 * 1024 * 1024  # more than any record: beyond REF_LIMIT_OCTETS it is a reference
NAK_AFTER_BUG_S = 30.0

log = event_log("connector")


class Pull:
    """
    One consumer's messages, each worked on in a task of its own.

    Args:
        slots: How many messages are worked on at once.
        work: Works on one and acknowledges it, or naks it.
        gates: Pulling waits until all of them are set.
        max_octets: Octets of messages that may be in hand at once, give or take one.
    """

    def __init__(
        self,
        client: Client,
        stream: str,
        durable: str,
        *,
        slots: Callable[[], int],
        work: Callable[[Delivery], Awaitable[None]],
        gates: tuple[asyncio.Event, ...] = (),
        ack_wait_s: float = 30.0,
        max_octets: int = 64 * 1024 * 1024,
    ) -> None:
        self._client = client
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._slots = slots
        self._work = work
        self._gates = gates
        self._ack_wait_s = ack_wait_s
        self._max_octets = max_octets
        self._inbox = client.new_inbox()
        self._request_count = 0
        self._wanted = 0  # what the current request may still bring
        self._heard_at = 0.0
        self._changed = asyncio.Event()
        self._is_stopping = False
        self._octets = 0  # of the messages in hand
        self._tasks: dict[asyncio.Task[None], Delivery] = {}

    @property
    def in_hand_count(self) -> int:
        return len(self._tasks)

    async def run(self) -> None:
        """Pull until cancelled; survives the server's going away."""
        leases = asyncio.ensure_future(self._keep_leases())
        try:
            subscription = await self._client.subscribe(f"{self._inbox}.*", cb=self._took)
            try:
                while True:
                    await self._room()
                    for gate in self._gates:
                        await gate.wait()
                    await self._request()
            finally:
                self._is_stopping = True
                with contextlib.suppress(NatsError, OSError):
                    await subscription.unsubscribe()
        finally:
            leases.cancel()

    async def finish(self, timeout_s: float) -> None:
        """Wait for what is in hand; nak what does not end in time."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        left = dict(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for delivery in left.values():
            if not delivery.is_settled:
                with contextlib.suppress(NatsError, OSError):
                    await delivery.nak(0)

    async def _room(self) -> None:
        while self._tasks and (self._free_slots() <= 0 or self._free_octets() < RECORD_OCTETS):
            self._changed.clear()
            await self._changed.wait()
        if 4 * len(self._tasks) > 3 * self._slots():
            await asyncio.sleep(GATHER_S)  # busy: ask for a few at once, not for each

    def _free_slots(self) -> int:
        return self._slots() - len(self._tasks)

    def _free_octets(self) -> int:
        return self._max_octets - self._octets

    async def _request(self) -> None:
        self._request_count += 1
        self._wanted = max(1, self._free_slots())
        wanted: dict[str, int] = {
            "batch": self._wanted,
            "max_bytes": max(RECORD_OCTETS, self._free_octets()),
            "expires": int(EXPIRES_S * 1e9),
            "idle_heartbeat": int(HEARTBEAT_S * 1e9),
        }
        try:
            await self._client.publish(
                self._next, json.dumps(wanted).encode(), reply=f"{self._inbox}.{self._request_count}"
            )
        except (NatsError, OSError):
            await asyncio.sleep(LOOK_S)
            return
        self._heard_at = time.monotonic()
        connection = self._client.stats["reconnects"]
        while self._wanted > 0:
            self._changed.clear()
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._changed.wait()
            except TimeoutError:
                is_other = self._client.stats["reconnects"] != connection
                if is_other or time.monotonic() - self._heard_at > 2 * HEARTBEAT_S:
                    return  # the server forgot the request: another connection, a new leader

    async def _took(self, message: Msg) -> None:
        self._heard_at = time.monotonic()
        if message.subject.startswith(self._inbox):
            await self._told(message)
            return
        delivery = Delivery.of(self._client, message)
        self._wanted -= 1
        if self._is_stopping:
            await delivery.nak(0)
            return
        task = asyncio.ensure_future(self._shell(delivery))
        self._tasks[task] = delivery
        self._octets += len(delivery.body)
        task.add_done_callback(self._done)
        if self._wanted <= 0:
            self._changed.set()

    async def _told(self, message: Msg) -> None:
        status = (message.headers or {}).get("Status")
        is_current = message.subject == f"{self._inbox}.{self._request_count}"
        if status == "100" or not is_current:
            return
        if status == "503":
            await asyncio.sleep(LOOK_S)  # there is no such consumer just now
        self._wanted = 0
        self._changed.set()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._octets -= len(self._tasks.pop(task).body)
        self._changed.set()

    async def _shell(self, delivery: Delivery) -> None:
        try:
            await self._work(delivery)
        except asyncio.CancelledError:
            raise
        except (NatsError, OSError) as error:
            # The ack did not go out: the message comes again when its lease ends.
            log.warning("ack-not-sent", reason=f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - the outermost shell: unknown means again
            log.error("work-failed", error=error, stage=self._next.rpartition(".")[2])
            if not delivery.is_settled:
                with contextlib.suppress(NatsError, OSError):
                    await delivery.nak(NAK_AFTER_BUG_S)

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self._ack_wait_s / 3)
            for delivery in list(self._tasks.values()):
                if time.monotonic() - delivery.taken_at > self._ack_wait_s / 4:
                    with contextlib.suppress(NatsError, OSError):
                        await delivery.in_progress()
