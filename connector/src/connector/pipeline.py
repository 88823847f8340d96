"""The pipeline, as one table: which consumer feeds which work, how many at once, and what it waits for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp
from mailchute import subjects
from mailchute.ids import new_id
from mailchute.jetstream import Publisher
from nats.aio.client import Client
from nats.errors import Error as NatsError

from connector.attempt import Attempts
from connector.burial import Burial
from connector.claims import Claims
from connector.content import Contents
from connector.deliveries import FRESH_SLOTS, LANE_SLOTS, Deliveries
from connector.delivery import Delivery
from connector.endpoint import EndpointLoads
from connector.erased import Erased
from connector.expiry import Expiry
from connector.first import FirstAttempts
from connector.fresh import Fresh
from connector.function import Function
from connector.journal import Journal
from connector.lanes import Lanes
from connector.lease import Lease
from connector.mail import MailStage
from connector.orders import Orders
from connector.passage import HOLD_S as THROUGH_HOLD_S
from connector.passage import Passage
from connector.poison import Poison
from connector.pull import Pull
from connector.reading import Reading
from connector.record import RecordStage
from connector.settings import Settings
from connector.shelf import Shelf
from connector.strays import Strays
from connector.streams import DELIVERY_DURABLE, JOURNAL_DURABLE, MAIL_DURABLE
from connector.sweeper import Sweeper
from connector.through import Through
from connector.trials import Trials

# How long a function may be silent. parse kills itself after 5 s, an attempt ends after 15 s.
TIMEOUTS_S = {"scan": 60.0, "parse": 60.0, "deliver": 30.0, "record": 60.0, "expire": 60.0}
MAIL_SLOTS = 256
IN_HAND_OCTETS = 64 * 1024 * 1024  # of each stream
JOURNAL_SLOTS = 64  # messages; they ride to record together
DRAIN_S = 10.0
THROUGH_DRAIN_S = 20.0  # a POST takes up to 15; cut off, it is made again when its mail is resent


@dataclass(frozen=True)
class _Row:
    stream: str
    durable: str
    slots: Callable[[], int]
    work: Callable[[Delivery], Awaitable[None]]
    gates: tuple[asyncio.Event, ...]


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
        shelf = Shelf(self.publisher)
        self.erased = Erased(client, shelf)
        is_writing = self.journal.is_writing
        self.lanes = Lanes(
            self.publisher,
            self.endpoints,
            settings,
            Lease(shelf, "lanes"),
            gates=(deliver.is_there, is_writing),
        )
        deliveries = Deliveries(
            attempts=Attempts(self.publisher, self.contents, deliver),
            contents=self.contents,
            endpoints=self.endpoints,
            lanes=self.lanes,
            journal=self.journal,
            burial=self.burial,
            erased=self.erased,
            gaps_s=settings.gaps_s,
            lane_slots=asyncio.Semaphore(LANE_SLOTS),
        )
        fresh = Fresh(self.publisher, lambda: self.pulls[subjects.MAIL].in_hand_count)
        first = FirstAttempts(deliveries, fresh, self.contents, deliver, self.journal)
        mail = MailStage(
            first=first,
            contents=self.contents,
            journal=self.journal,
            burial=self.burial,
            poison=Poison(shelf),
            reading=Reading(scan, parse),
        )
        self.strays = Strays(self.publisher, Lease(shelf, "strays"))
        self.sweeper = Sweeper(client, Lease(shelf, "sweeper"), settings)
        trials = Trials(Reading(scan, parse), deliver)
        self.orders = Orders(self.publisher, mail, self.lanes, shelf, self.erased, settings, trials)
        self.expiry = Expiry(client, self.functions["expire"], Lease(shelf, "expiry"), shelf, settings)
        self.lanes.work = deliveries.work_retry
        passage = Passage(
            publisher=self.publisher,
            claims=Claims(self.publisher, new_id("run")),
            contents=Contents(self.publisher, budget_octets=IN_HAND_OCTETS),
            reading=Reading(scan, parse, hold_s=THROUGH_HOLD_S),
            deliver=deliver,
            endpoints=self.endpoints,
            lanes=self.lanes,
            journal=self.journal,
        )
        self.through = Through(client, passage, slots=settings.through_slots)
        rows = (
            _Row(
                subjects.MAIL,
                MAIL_DURABLE,
                lambda: MAIL_SLOTS + first.count,
                mail.work,
                (scan.is_there, parse.is_there, is_writing),
            ),
            _Row(
                subjects.DELIVERY,
                DELIVERY_DURABLE,
                lambda: FRESH_SLOTS - first.count,
                deliveries.work_fresh,
                (deliver.is_there, is_writing),
            ),
            _Row(
                subjects.JOURNAL,
                JOURNAL_DURABLE,
                lambda: JOURNAL_SLOTS,
                RecordStage(record, self.burial).work,
                (record.is_there,),
            ),
        )
        self.pulls = {
            row.stream: Pull(
                client,
                row.stream,
                row.durable,
                slots=row.slots,
                work=row.work,
                gates=row.gates,
                ack_wait_s=settings.ack_wait_s,
                max_octets=IN_HAND_OCTETS,
            )
            for row in rows
        }

    async def run(self) -> None:
        """Run until cancelled; then drain: nothing new is begun, what is in hand ends or is naked."""
        await self.erased.listen()
        tasks = [asyncio.ensure_future(pull.run()) for pull in self.pulls.values()]
        watches = (self.lanes, self.strays, self.sweeper, self.expiry, self.through)
        tasks += [asyncio.ensure_future(each.run()) for each in watches]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(
                self.lanes.finish(DRAIN_S),
                self.through.finish(THROUGH_DRAIN_S),
                *(pull.finish(DRAIN_S) for pull in self.pulls.values()),
            )
            await self.journal.flush()
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                await self.client.flush()
