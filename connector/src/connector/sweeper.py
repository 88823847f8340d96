"""Sweeping the Object Store: content that a killed writer or a finished mail left behind."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from mailchute.errors import ContentUnavailable, StreamUnavailable
from mailchute.eventlog import event_log
from mailchute.object_sweep import sweep_objects
from mailchute.stored import request_api
from mailchute.subjects import MAIL
from nats.aio.client import Client

from connector.lease import Lease
from connector.settings import Settings

EVERY_S = 1_800.0
GIVEN_UP_S = 3_600  # no SMTP transaction writes one object for this long

log = event_log("connector")


class Sweeper:
    """One connector at a time sweeps, twice an hour."""

    def __init__(self, client: Client, lease: Lease, settings: Settings) -> None:
        self._client = client
        self._lease = lease
        self._kept_s = settings.outlived_s()

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            if await self._lease.hold():
                await self.sweep(datetime.now(UTC))

    async def sweep(self, now: datetime) -> int:
        """Sweep once; returns how much was removed, 0 too when the Object Store is away."""
        try:
            count = await sweep_objects(
                self._client,
                before=await self._outlived_at(now),
                chunks_before=now - timedelta(seconds=GIVEN_UP_S),
            )
        except (ContentUnavailable, StreamUnavailable) as error:
            log.warning("sweep-failed", reason=str(error))
            return 0
        if count:
            log.info("swept", count=count)
        return count

    async def _outlived_at(self, now: datetime) -> datetime:
        """
        Return the moment before which nothing was stored that anything refers to.

        An account may keep mail for longer than the schedule takes, or be held: what is as old as the oldest
        mail that lies on MAIL may be that mail's content.
        """
        bound = now - timedelta(seconds=self._kept_s)
        state = (await request_api(self._client, f"STREAM.INFO.{MAIL}", {}) or {})["state"]
        if not state["messages"]:
            return bound
        return min(bound, datetime.fromisoformat(state["first_ts"]) - timedelta(seconds=GIVEN_UP_S))
