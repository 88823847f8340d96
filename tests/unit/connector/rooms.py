"""Functions written by hand, an endpoint for each test to spoil, and a connector between them."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from connector.consumers import assert_consumer, consumer_config, remove_consumer
from connector.leaks import states
from connector.pipeline import Pipeline
from connector.settings import FUNCTIONS, Settings
from connector.streams import MAIL_DURABLE, assert_streams
from mailchute import subjects, wire
from mailchute.alias import AliasSnapshot, EndpointSnapshot
from mailchute.dead import DeadRecord
from mailchute.delivery import AttemptOutcome, AttemptRequest
from mailchute.envelope import Envelope, Path
from mailchute.expiring import DueMail, ExpireAnswer, ExpireRequest
from mailchute.ids import new_id
from mailchute.jetstream import Publisher, connect
from mailchute.journal import Event, JournalBatch, Recorded
from mailchute.mail import ContentRef, MailObject, fingerprint_of
from mailchute.parsed import MailSummary, ParseAnswer, ParseRequest
from mailchute.settings import NatsSettings
from mailchute.stored import read_run, request_api
from mailchute.verdicts import ScanReport

from tests.servers.nats import NatsServer

TOKEN = "internal"
Outcome = Callable[[AttemptRequest], Awaitable[AttemptOutcome]]


async def eventually(holds: Callable[[], object], *, within_s: float = 30.0) -> None:
    """Wait until `holds()` is true; its awaitable answer is awaited."""
    async with asyncio.timeout(within_s):
        while True:
            found = holds()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.01)


def outcome(result: Any = "delivered", status: int | None = 200, **more: Any) -> AttemptOutcome:
    return AttemptOutcome(result=result, status=status, started_at=datetime.now(UTC), duration_s=0.0, **more)


@dataclass
class Functions:
    """All functions on one port; each test sets what they do."""

    url: str = ""
    endpoints: dict[str, Outcome] = field(default_factory=dict)  # what an endpoint does; default: 200
    spoilt: dict[str, Callable[[bytes], Awaitable[web.Response | None]]] = field(default_factory=dict)
    posts: list[tuple[str, str]] = field(default_factory=list)  # (endpoint, mail) of each attempt
    requests: list[AttemptRequest] = field(default_factory=list)
    parsed: list[ParseRequest] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    due: list[DueMail] = field(default_factory=list)  # expire hands these out, until they are erased
    erased: list[str] = field(default_factory=list)
    decision: Any = "deliver"
    payload: bytes = b"{}"
    _runner: web.AppRunner | None = None
    _port: int = 0

    async def start(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.add_routes([web.post("/function/{name}", self._serve)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Go away: connections are refused from now on."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def of_kind(self, kind: str) -> list[Event]:
        return list({event.id: event for event in self.events if event.kind == kind}.values())

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        body = await request.read()
        self.calls[name] += 1
        if request.content_type != wire.BATCH:
            return await self._single(name, body)
        self.calls[f"{name} batch"] += 1
        stream = web.StreamResponse(headers={"Content-Type": wire.BATCH})
        await stream.prepare(request)

        async def one(index: int, value: bytes) -> None:
            response = await self._single(name, value)
            retry_after = response.headers.get("Retry-After")
            assert isinstance(response.body, bytes)
            answer = [index, response.status, response.body, retry_after and float(retry_after)]
            await stream.write(wire.encode(answer))

        await asyncio.gather(*(one(i, each) for i, each in enumerate(wire.decode(body, list[bytes]))))
        return stream

    async def _single(self, name: str, body: bytes) -> web.Response:
        if spoil := self.spoilt.get(name):
            response = await spoil(body)
            if response is not None:
                return response
        return web.Response(
            body=wire.encode(await getattr(self, f"_{name}")(body)), content_type=wire.MSGPACK
        )

    async def _scan(self, body: bytes) -> ScanReport:
        wire.decode(body, MailObject)
        return ScanReport()

    async def _parse(self, body: bytes) -> ParseAnswer:
        request = wire.decode(body, ParseRequest)
        self.parsed.append(request)
        return ParseAnswer(
            decision=self.decision,
            payload=self.payload,
            summary=MailSummary(message_id=None, recipient="r", subject="s", size_octets=1),
        )

    async def _deliver(self, body: bytes) -> AttemptOutcome:
        request = wire.decode(body, AttemptRequest)
        self.requests.append(request)
        self.posts.append((request.delivery.endpoint_id, request.delivery.mail_id))
        does = self.endpoints.get(request.delivery.endpoint_id)
        return outcome() if does is None else await does(request)

    async def _record(self, body: bytes) -> Recorded:
        events = wire.decode(body, JournalBatch).events
        self.events += events
        return Recorded(new_count=len(events))

    async def _expire(self, body: bytes) -> ExpireAnswer:
        request = wire.decode(body, ExpireRequest)
        self.erased += request.erased
        count = len(self.due)
        self.due = [each for each in self.due if each.mail_id not in request.erased]
        due = tuple(self.due[:2]) if request.after is None or request.erased else ()
        return ExpireAnswer(deleted_count=count - len(self.due), due=due, oldest_due_s=float(len(self.due)))


def mail_for(
    *endpoint_ids: str, content: bytes | ContentRef = b"Subject: x\r\n\r\nx", **endpoint: Any
) -> MailObject:
    path = Path("support", "inbox.test")
    mail_id = new_id("msg")
    return MailObject(
        id=mail_id,
        envelope=Envelope(reverse_path=None, forward_path=path, client_ip="127.0.0.1", helo="x"),
        alias=AliasSnapshot(
            account_id="acc_1",
            domain_id="dom_1",
            alias_id="als_1",
            address=str(path),
            endpoints=tuple(EndpointSnapshot(id=each, **endpoint) for each in endpoint_ids),
        ),
        received_at=datetime.now(UTC),
        content=content,
        fingerprint=fingerprint_of(None, path, mail_id.encode()),
        size_octets=16,
    )


class House:
    """A connector, its functions and its streams."""

    def __init__(self, server: NatsServer, functions: Functions, settings: Settings) -> None:
        self.server = server
        self.functions = functions
        self.settings = settings
        self.publisher: Publisher
        self.pipeline: Pipeline

    async def accept(self, mail: MailObject) -> int:
        """Publish as the ingress does; returns the sequence on MAIL."""
        receipt = await self.publisher.publish(
            subjects.MAIL_ACCEPTED, wire.encode(mail), stream=subjects.MAIL, message_id=mail.fingerprint
        )
        return receipt.sequence

    async def info(self, stream: str) -> dict[str, Any]:
        answer = await request_api(self.publisher.client, f"STREAM.INFO.{stream}", {})
        assert answer is not None
        return answer

    async def count(self, stream: str) -> int:
        count: int = (await self.info(stream))["state"]["messages"]
        return count

    async def forget_acks(self) -> None:
        """Make MAIL's consumer anew, so that every mail is handed out for the first time once more."""
        client = self.publisher.client
        await remove_consumer(client, subjects.MAIL, MAIL_DURABLE)
        config = consumer_config(MAIL_DURABLE, ack_wait_s=self.settings.ack_wait_s)
        await assert_consumer(client, subjects.MAIL, config)

    async def dead(self) -> list[DeadRecord]:
        stored = await read_run(self.publisher.client, subjects.DEAD, "dead.*", from_sequence=1, count=1_000)
        return [wire.decode(each.body, DeadRecord) for each in stored]

    async def show(self) -> None:
        """Print where everything is, for whoever reads why a condition never held."""
        for state in await states(self.publisher.client):
            print(state)
        told = Counter(event.kind for event in {each.id: each for each in self.functions.events}.values())
        print("posts", len(set(self.functions.posts)), "told", dict(told))

    async def is_quiet(self) -> bool:
        """Whether nothing is on its way: every work queue is empty, and MAIL is worked off."""
        for stream in (subjects.DELIVERY, subjects.RETRY, subjects.JOURNAL):
            if await self.count(stream):
                return False
        return await self.is_worked_off()

    async def is_worked_off(self) -> bool:
        """Whether every mail on MAIL is acknowledged."""
        client = self.publisher.client
        answer = await request_api(client, f"CONSUMER.INFO.{subjects.MAIL}.{MAIL_DURABLE}", {})
        assert answer is not None
        return not answer["num_pending"] and not answer["num_ack_pending"]


def settings_for(server: NatsServer, functions: Functions, **more: Any) -> Settings:
    settings = Settings(
        nats=NatsSettings(url=server.url, monitor_url=server.monitor_url),
        host="127.0.0.1",
        port=0,
        token=TOKEN,
        function_urls={name: f"{functions.url}/function/{name}" for name in FUNCTIONS},
        gaps_s=(0, 0.2, 0.2),
        streams_max_octets=512 * 1024 * 1024,
    )
    return dataclasses.replace(settings, **more)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Pipeline]:
    """One connector in this process; leaving drains it."""
    client = await connect(settings.nats.url, name="connector")
    await assert_streams(client, settings)
    async with aiohttp.ClientSession() as session:
        pipeline = Pipeline(client, session, settings)
        task = asyncio.ensure_future(pipeline.run())
        try:
            yield pipeline
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await client.close()


@asynccontextmanager
async def house(server: NatsServer, *, is_running: bool = True, **more: Any) -> AsyncIterator[House]:
    """Functions, streams, and (unless told otherwise) a connector."""
    functions = Functions()
    await functions.start()
    settings = settings_for(server, functions, **more)
    built = House(server, functions, settings)
    client = await connect(server.url, name="test")
    await assert_streams(client, settings)
    built.publisher = Publisher(client)
    try:
        if is_running:
            async with running(settings) as pipeline:
                built.pipeline = pipeline
                yield built
        else:
            yield built
    except TimeoutError:
        await built.show()
        raise
    finally:
        await functions.stop()
        await client.close()


@asynccontextmanager
async def process(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    """A connector as a process of its own: kill it."""
    environ = {
        **os.environ,
        "MAILCHUTE_NATS_URL": settings.nats.url,
        "MAILCHUTE_NATS_MONITOR_URL": settings.nats.monitor_url,
        "MAILCHUTE_INTERNAL_TOKEN": TOKEN,
        "MAILCHUTE_FUNCTIONS_URL": settings.function_urls["scan"].removesuffix("/function/scan"),
        "MAILCHUTE_RETRY_SCHEDULE": ",".join(str(gap_s) for gap_s in settings.gaps_s),
        "MAILCHUTE_STREAMS_MAX_OCTETS": str(settings.streams_max_octets),
        "MAILCHUTE_ACK_WAIT_S": str(settings.ack_wait_s),
        "MAILCHUTE_CONNECTOR": f"{settings.host}:{settings.port}",
    }
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "connector", env=environ)
    try:
        yield child
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGKILL)
            await child.wait()


def replaced(mail: MailObject, **more: Any) -> MailObject:
    return msgspec.structs.replace(mail, **more)
