"""
Retry lanes: a consumer for each endpoint in trouble, so that it stands in nobody's way.

A lane is made before anything is published to it (create consumer, publish, ack). Every connector
looks for lanes to serve at start, on consumer advisories, and every ten seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from mailchute import subjects, wire
from mailchute.delivery import AttemptOutcome, WebhookDelivery
from mailchute.errors import MailchuteError
from mailchute.eventlog import event_log
from mailchute.jetstream import Publisher
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from connector.backlog import Backlog, octets_of
from connector.consumers import (
    assert_consumer,
    consumer_config,
    consumer_names,
    pause_consumer,
    remove_consumer,
)
from connector.delivery import Delivery
from connector.endpoint import EndpointLoads
from connector.lease import Lease
from connector.pull import Pull
from connector.settings import Settings

RECONCILE_S = 10.0
SETTLE_S = 0.1  # advisories come in swarms: one look for all of them
PREFIX = subjects.lane_name_of("")
FORGIVE = "connector.forgive."  # a core subject: every connector forgets what it holds against an endpoint
ADVISORIES = f"$JS.EVENT.ADVISORY.CONSUMER.*.{subjects.RETRY}.>"

log = event_log("connector")


@dataclass
class Lane:
    """One endpoint's lane, as served here."""

    pull: Pull
    task: asyncio.Task[None]
    empty_since: float | None = None  # None: it held something when last looked at


class Lanes:
    """
    Makes, finds, serves, pauses and removes lanes.

    Args:
        gates: As Pull's.
    """

    def __init__(
        self,
        publisher: Publisher,
        endpoints: EndpointLoads,
        settings: Settings,
        lease: Lease,
        *,
        gates: tuple[asyncio.Event, ...],
    ) -> None:
        self.work: Callable[[Delivery], Awaitable[None]]  # set once, by the pipeline
        self.lanes: dict[str, Lane] = {}
        self._client = publisher.client
        self._publisher = publisher
        self._backlog = Backlog(publisher.client, settings.lane_octets)
        self._endpoints = endpoints
        self._settings = settings
        self._lease = lease
        self._gates = gates
        self._making: dict[str, asyncio.Lock] = {}
        self._stirred = asyncio.Event()
        self._is_stopping = False

    async def divert(self, owed: WebhookDelivery, outcome: AttemptOutcome | None, *, again: str = "") -> None:
        """
        Put a delivery on its endpoint's lane.

        Args:
            outcome: Of the attempt that failed; None when none was made.
            again: Sets apart what is put there a second time.

        Raises:
            StreamFull: The lane holds as much as it may.
            StreamUnavailable: It is not sure that it is there.
        """
        if outcome is not None:
            owed = msgspec.structs.replace(
                owed,
                first_attempt_at=owed.first_attempt_at or outcome.started_at,
                attempt_count=owed.attempt_count + 1,
                last_outcome=outcome,
            )
        record = wire.encode(owed)
        self._backlog.add(owed.endpoint_id, octets_of(owed, record))
        await self.ensure(owed.endpoint_id)
        await self._publisher.publish(
            subjects.retry_subject_of(owed.endpoint_id),
            record,
            stream=subjects.RETRY,
            message_id=subjects.retry_id_of(owed.mail_id, owed.endpoint_id, owed.run) + again,
        )

    async def ensure(self, endpoint_id: str) -> None:
        """Make the lane where it is missing, and serve it. Raises: StreamUnavailable."""
        if endpoint_id in self.lanes:
            return
        lock = self._making.setdefault(endpoint_id, asyncio.Lock())
        try:
            async with lock:
                if endpoint_id not in self.lanes:
                    await self._create(endpoint_id)
                    self._serve(endpoint_id)
        finally:
            self._making.pop(endpoint_id, None)

    async def pause(self, endpoint_id: str, pause_s: float) -> None:
        """Hand out nothing of the lane for a while; the breaker is open."""
        until = datetime.now(UTC) + timedelta(seconds=pause_s)
        await pause_consumer(self._client, subjects.RETRY, subjects.lane_name_of(endpoint_id), until)

    async def resume(self, endpoint_id: str) -> None:
        """The breaker has closed."""
        lane = subjects.lane_name_of(endpoint_id)
        await pause_consumer(self._client, subjects.RETRY, lane, datetime.fromtimestamp(0, UTC))

    async def kick(self, endpoint_id: str) -> None:
        """
        The endpoint is back: hand out everything on its lane now, whatever it was waiting for.

        Raises: StreamUnavailable.
        """
        await self._client.publish(FORGIVE + endpoint_id, b"")
        self._endpoints.of(endpoint_id).forgive()
        await remove_consumer(self._client, subjects.RETRY, subjects.lane_name_of(endpoint_id))
        if await self._backlog.counts(subjects.retry_subject_of(endpoint_id)):
            await self._create(endpoint_id)
            self._serve(endpoint_id)

    async def run(self) -> None:
        """Look after the lanes until cancelled."""
        subscriptions = [
            await self._client.subscribe(ADVISORIES, cb=self._advised),
            await self._client.subscribe(f"{FORGIVE}*", cb=self._forgiven),
        ]
        try:
            while True:
                self._stirred.clear()
                try:
                    await self.reconcile()
                    if await self._lease.hold() and await self._remove_idle():
                        await self.reconcile()
                except MailchuteError as error:
                    log.warning("reconcile-failed", reason=str(error))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(RECONCILE_S, self._settings.lane_idle_s / 2 + 0.1)):
                        await self._stirred.wait()
                        await asyncio.sleep(SETTLE_S)
        finally:
            for subscription in subscriptions:
                with contextlib.suppress(NatsError, OSError):
                    await subscription.unsubscribe()

    async def reconcile(self) -> None:
        """Serve every lane there is, and make those that are missing. Raises: StreamUnavailable."""
        names = await consumer_names(self._client, subjects.RETRY)
        existing = {name.removeprefix(PREFIX) for name in names}
        for endpoint_id in list(self.lanes):
            if endpoint_id not in existing and endpoint_id not in self._making:
                self._leave(endpoint_id)
        waiting = await self._backlog.look()
        for endpoint_id in waiting:
            if endpoint_id not in existing:
                await self._create(endpoint_id)
                existing.add(endpoint_id)
        for endpoint_id in existing:
            self._serve(endpoint_id)
        now = time.monotonic()
        for endpoint_id, lane in self.lanes.items():
            lane.empty_since = None if endpoint_id in waiting else lane.empty_since or now

    async def _remove_idle(self) -> int:
        """
        Remove the lanes that have been empty for long; returns how many.

        What is published to one at this very moment has no consumer then: reconcile afterwards.
        """
        until = time.monotonic() - self._settings.lane_idle_s
        idle = [
            key
            for key, lane in self.lanes.items()
            if lane.empty_since is not None and lane.empty_since < until and not lane.pull.in_hand_count
        ]
        for endpoint_id in idle:
            self._leave(endpoint_id)
            await remove_consumer(self._client, subjects.RETRY, subjects.lane_name_of(endpoint_id))
        return len(idle)

    async def finish(self, timeout_s: float) -> None:
        """Stop pulling, and end what is in hand; lanes made from now on are another's to serve."""
        self._is_stopping = True
        for lane in self.lanes.values():
            lane.task.cancel()
        await asyncio.gather(*(lane.pull.finish(timeout_s) for lane in self.lanes.values()))

    async def _create(self, endpoint_id: str) -> None:
        name, subject = subjects.lane_name_of(endpoint_id), subjects.retry_subject_of(endpoint_id)
        config = consumer_config(name, ack_wait_s=self._settings.ack_wait_s, filter_subject=subject)
        await assert_consumer(self._client, subjects.RETRY, config)

    def _serve(self, endpoint_id: str) -> None:
        if endpoint_id in self.lanes or self._is_stopping:
            return
        load = self._endpoints.of(endpoint_id)
        pull = Pull(
            self._client,
            subjects.RETRY,
            subjects.lane_name_of(endpoint_id),
            slots=lambda: load.cap,
            work=self.work,
            gates=self._gates,
            ack_wait_s=self._settings.ack_wait_s,
        )
        self.lanes[endpoint_id] = Lane(pull, asyncio.ensure_future(pull.run()))
        log.info("lane-served", endpoint_id=endpoint_id)

    def _leave(self, endpoint_id: str) -> None:
        self.lanes.pop(endpoint_id).task.cancel()
        log.info("lane-left", endpoint_id=endpoint_id)

    async def _advised(self, message: Msg) -> None:
        if ".CREATED." in message.subject or ".DELETED." in message.subject:
            self._stirred.set()

    async def _forgiven(self, message: Msg) -> None:
        self._endpoints.of(message.subject.removeprefix(FORGIVE)).forgive()
