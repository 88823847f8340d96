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
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
from mailchute import subjects, wire
from mailchute.delivery import AttemptOutcome, WebhookDelivery
from mailchute.errors import MailchuteError, StreamUnavailable
from mailchute.eventlog import event_log
from mailchute.jetstream import Publisher
from mailchute.stored import request_api
from nats.aio.client import Client
from nats.aio.msg import Msg

from connector.delivery import Delivery
from connector.endpoint import EndpointLoads
from connector.pull import Pull
from connector.settings import Settings
from connector.streams import assert_consumer, consumer_config, remove_consumer

RECONCILE_S = 10.0
SETTLE_S = 0.1  # advisories come in swarms: one look for all of them
PREFIX = subjects.lane_name_of("")
ADVISORIES = f"$JS.EVENT.ADVISORY.CONSUMER.*.{subjects.RETRY}.>"

log = event_log("connector")


@dataclass
class Lane:
    """One endpoint's lane, as served here."""

    pull: Pull
    task: asyncio.Task[None]
    busy_at: float = field(default_factory=time.monotonic)  # when it last held something


class Lanes:
    """
    Makes, finds, serves and pauses lanes.

    Args:
        work: Works on one message of a lane.
        gates: As Pull's.
    """

    def __init__(
        self,
        client: Client,
        publisher: Publisher,
        endpoints: EndpointLoads,
        settings: Settings,
        *,
        gates: tuple[asyncio.Event, ...],
    ) -> None:
        self.work: Callable[[Delivery], Awaitable[None]] | None = None
        self.lanes: dict[str, Lane] = {}
        self._client = client
        self._publisher = publisher
        self._endpoints = endpoints
        self._settings = settings
        self._gates = gates
        self._making: dict[str, asyncio.Lock] = {}
        self._stirred = asyncio.Event()

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
        await self.ensure(owed.endpoint_id)
        await self._publisher.publish(
            subjects.retry_subject_of(owed.endpoint_id),
            wire.encode(owed),
            stream=subjects.RETRY,
            message_id=subjects.retry_id_of(owed.mail_id, owed.endpoint_id, owed.run) + again,
        )
        self.lanes[owed.endpoint_id].busy_at = time.monotonic()

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
        with contextlib.suppress(StreamUnavailable):  # the lane then finds the breaker open itself
            await request_api(
                self._client,
                f"CONSUMER.PAUSE.{subjects.RETRY}.{subjects.lane_name_of(endpoint_id)}",
                {"pause_until": until.isoformat().replace("+00:00", "Z")},
            )

    async def kick(self, endpoint_id: str) -> None:
        """The endpoint is back: hand out everything of its lane now. Raises: StreamUnavailable."""
        self._endpoints.of(endpoint_id).forgive()
        await remove_consumer(self._client, subjects.RETRY, subjects.lane_name_of(endpoint_id))
        if await self._waiting_counts(subjects.retry_subject_of(endpoint_id)):
            await self._create(endpoint_id)
            self._serve(endpoint_id)

    async def run(self) -> None:
        """Look after the lanes until cancelled."""
        subscription = await self._client.subscribe(ADVISORIES, cb=self._advised)
        try:
            while True:
                self._stirred.clear()
                try:
                    await self.reconcile()
                except MailchuteError as error:
                    log.warning("reconcile-failed", reason=str(error))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RECONCILE_S):
                        await self._stirred.wait()
                        await asyncio.sleep(SETTLE_S)
        finally:
            with contextlib.suppress(Exception):
                await subscription.unsubscribe()

    async def reconcile(self) -> None:
        """Serve every lane there is, and make those that are missing. Raises: StreamUnavailable."""
        existing = await self.consumer_names()
        for endpoint_id in list(self.lanes):
            if endpoint_id not in existing and endpoint_id not in self._making:
                self._leave(endpoint_id)
        for endpoint_id in await self._waiting_counts(subjects.RETRY_ALL):
            if endpoint_id not in existing:
                await self._create(endpoint_id)
                existing.add(endpoint_id)
        for endpoint_id in existing:
            self._serve(endpoint_id)

    async def finish(self, timeout_s: float) -> None:
        """Stop pulling, and end what is in hand."""
        for lane in self.lanes.values():
            lane.task.cancel()
        await asyncio.gather(*(lane.pull.finish(timeout_s) for lane in self.lanes.values()))

    async def consumer_names(self) -> set[str]:
        """Return the endpoints that have a lane. Raises: StreamUnavailable."""
        found: set[str] = set()
        offset, total = 0, 1
        while offset < total:
            answer = await request_api(self._client, f"CONSUMER.NAMES.{subjects.RETRY}", {"offset": offset})
            assert answer is not None
            names, total = answer.get("consumers") or [], answer["total"]
            found.update(name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX))
            if not names:
                break
            offset += len(names)
        return found

    async def _waiting_counts(self, subject: str) -> dict[str, int]:
        """Return how many messages wait for each endpoint."""
        found: dict[str, int] = {}
        offset, total = 0, 1
        while offset < total:
            answer = await request_api(
                self._client, f"STREAM.INFO.{subjects.RETRY}", {"subjects_filter": subject, "offset": offset}
            )
            assert answer is not None
            page = answer["state"].get("subjects") or {}
            total = answer.get("total", len(page))
            found.update({name.partition(".")[2]: count for name, count in page.items()})
            if not page:
                break
            offset += len(page)
        return found

    async def _create(self, endpoint_id: str) -> None:
        await assert_consumer(
            self._client,
            subjects.RETRY,
            consumer_config(
                subjects.lane_name_of(endpoint_id),
                ack_wait_s=self._settings.ack_wait_s,
                filter_subject=subjects.retry_subject_of(endpoint_id),
            ),
        )

    def _serve(self, endpoint_id: str) -> None:
        if endpoint_id in self.lanes:
            return
        assert self.work is not None
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
