"""The pipeline, as one table: which consumer feeds which work, how many at once, and what it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from mailchute import subjects
from mailchute.jetstream import Publisher
from nats.aio.client import Client

from connector import fresh
from connector.attempt import Attempts
from connector.burial import Burial
from connector.content import Contents
from connector.delivery import Delivery
from connector.endpoint import EndpointLoads
from connector.fresh import FreshStage
from connector.function import Function
from connector.journal import Journal
from connector.lanes import Lanes
from connector.mail import MailStage
from connector.pull import Pull
from connector.record import RecordStage
from connector.retry import RetryStage
from connector.settings import Settings
from connector.streams import DELIVERY_DURABLE, JOURNAL_DURABLE, MAIL_DURABLE

# How long a function may be silent. parse kills itself after 5 s, an attempt ends after 15 s.
TIMEOUTS_S = {"scan": 60.0, "parse": 60.0, "deliver": 30.0, "record": 60.0}
MAIL_SLOTS = 128
MAIL_PULL_OCTETS = 32 * 1024 * 1024
JOURNAL_SLOTS = 4
DRAIN_S = 20.0


@dataclass(frozen=True)
class _Row:
    stream: str
    durable: str
    slots: int
    work: Callable[[Delivery], Awaitable[None]]
    gates: tuple[asyncio.Event, ...]
    max_octets: int | None = None


class Pipeline:
    """Everything that runs between the streams and the functions."""

    def __init__(self, client: Client, session: aiohttp.ClientSession, settings: Settings) -> None:
        self.client = client
        self.publisher = Publisher(client)
        self.functions = {
            name: Function(session, name, url, token=settings.token, timeout_s=TIMEOUTS_S[name])
            for name, url in settings.function_urls.items()
        }
        scan, parse, deliver, record = (
            self.functions[name] for name in ("scan", "parse", "deliver", "record")
        )
        self.journal = Journal(self.publisher)
        self.contents = Contents(self.publisher)
        self.burial = Burial(self.publisher, self.contents, self.journal)
        self.endpoints = EndpointLoads()
        is_writing = self.journal.is_writing
        self.lanes = Lanes(
            client, self.publisher, self.endpoints, settings, gates=(deliver.is_there, is_writing)
        )
        attempts = Attempts(self.publisher, self.contents, deliver)
        stage: dict[str, Any] = {
            "attempts": attempts,
            "endpoints": self.endpoints,
            "lanes": self.lanes,
            "journal": self.journal,
            "burial": self.burial,
            "gaps_s": settings.gaps_s,
        }
        self.mail = MailStage(
            publisher=self.publisher,
            contents=self.contents,
            journal=self.journal,
            burial=self.burial,
            scan=scan,
            parse=parse,
        )
        self.lanes.work = RetryStage(**stage).work
        rows = (
            _Row(
                subjects.MAIL,
                MAIL_DURABLE,
                MAIL_SLOTS,
                self.mail.work,
                (scan.is_there, parse.is_there, is_writing),
                MAIL_PULL_OCTETS,
            ),
            _Row(
                subjects.DELIVERY,
                DELIVERY_DURABLE,
                fresh.SLOTS,
                FreshStage(**stage).work,
                (deliver.is_there, is_writing),
            ),
            _Row(
                subjects.JOURNAL,
                JOURNAL_DURABLE,
                JOURNAL_SLOTS,
                RecordStage(record, self.burial).work,
                (record.is_there,),
            ),
        )
        self.pulls = {
            row.stream: Pull(
                client,
                row.stream,
                row.durable,
                slots=lambda row=row: row.slots,  # type: ignore[misc]
                work=row.work,
                gates=row.gates,
                ack_wait_s=settings.ack_wait_s,
                max_octets=row.max_octets,
            )
            for row in rows
        }

    async def run(self) -> None:
        """Run until cancelled; then drain: nothing new is begun, what is in hand ends or is naked."""
        tasks = [asyncio.ensure_future(pull.run()) for pull in self.pulls.values()]
        tasks.append(asyncio.ensure_future(self.lanes.run()))
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(
                self.lanes.finish(DRAIN_S), *(pull.finish(DRAIN_S) for pull in self.pulls.values())
            )
            await self.journal.flush()
            await self.client.flush()
