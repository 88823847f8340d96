"""The running SMTP edge of one process: started, drained, stopped."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from mailchute import heap
from mailchute.directory import Directory
from mailchute.errors import StreamUnavailable
from mailchute.eventlog import EventLog
from mailchute.jetstream import Publisher, connect
from mailchute.objects import ObjectWriter
from mailchute.resolver import Resolver
from mailchute.subjects import REF_LIMIT_OCTETS, THROUGH_BUCKET
from nats.aio.client import Client

from smtp_ingress.acceptance import Acceptance
from smtp_ingress.admission import Admission
from smtp_ingress.blocklist import Blocklist
from smtp_ingress.board import Row
from smtp_ingress.certificate import Certificate
from smtp_ingress.disk import Disk
from smtp_ingress.dnsbl import PROBED_EVERY_S, DnsLists
from smtp_ingress.edge import Edge
from smtp_ingress.exposition import Exposition
from smtp_ingress.mail_stream import MailStream
from smtp_ingress.offices import tell_unattended
from smtp_ingress.recipients import Recipients
from smtp_ingress.session import Session
from smtp_ingress.settings import Settings
from smtp_ingress.through import Through

LOOK_EVERY_S = 1.0  # at how full MAIL and the disk are
FILES_EVERY_S = 10.0  # at certificate and block list; SIGHUP looks at once
BACKLOG = 1_024
RECORD_SURPLUS_OCTETS = 64 * 1024  # what a mail object has beside its content: envelope, snapshot, trace


async def serve(
    settings: Settings, row: Row, log: EventLog, *, stop: asyncio.Event, reread: asyncio.Event
) -> None:
    """
    Accept mail until `stop` is set; then finish what is under way, and return.

    Args:
        row: This process's part of what all processes of the host count.
        reread: Set when the certificate and the block list are to be looked at now.

    Raises:
        BadSetting: A file that a setting names cannot be used.
        OSError: The port cannot be had.
        StreamUnavailable: NATS ended the connection and does not want it back.
    """
    certificate = (
        Certificate(settings.tls_cert_file, settings.tls_key_file, log=log)
        if settings.tls_cert_file and settings.tls_key_file
        else None
    )
    blocklist = Blocklist(settings.blocklist_file, log=log)
    lists = DnsLists(settings.dns_lists, lambda: Resolver(settings.dns), log=log)
    listening = _bound(settings)
    client = await _connected(settings, stop)
    if client is None:
        return
    directory = Directory(settings.database.url)
    recipients = Recipients(
        directory,
        hostname=settings.hostname,
        postmaster_alias=settings.postmaster_alias,
        protected=settings.protected,
    )
    stream = MailStream(client)
    disk = Disk(settings.disk, least_octets=settings.disk_free_octets)
    admission = Admission(settings.limits, row, hostname=settings.hostname)
    edge = Edge(
        settings=settings,
        row=row,
        admission=admission,
        recipients=recipients,
        acceptance=_acceptance(client, stream, row, settings, log),
        through=_through(client, stream, admission, row, settings, log),
        stocks=(stream, disk),
        blocklist=blocklist,
        lists=lists,
        log=log,
        tls_context=None if certificate is None else certificate.context,
        content_limit_octets=min(REF_LIMIT_OCTETS, client.max_payload // 2) - RECORD_SURPLUS_OCTETS,
    )

    async def look_at_stocks() -> None:
        disk.look()
        await stream.look()
        if client.is_closed:
            stop.set()

    async def look_at_files() -> None:
        blocklist.refresh()
        if certificate is not None:
            certificate.refresh()

    await look_at_stocks()
    watches = [
        asyncio.ensure_future(_repeat(look_at_stocks, LOOK_EVERY_S)),
        asyncio.ensure_future(_repeat(look_at_files, FILES_EVERY_S, at_once=reread)),
        asyncio.ensure_future(_repeat(lists.probe, PROBED_EVERY_S)),
    ]
    telling = asyncio.ensure_future(tell_unattended(recipients, log=log)) if row.is_first else None
    exposition = Exposition(row, edge.is_ready)
    if settings.metrics is not None:
        log.info("exposing", port=await exposition.start(*settings.metrics))
    server = await asyncio.get_running_loop().create_server(
        lambda: Session(edge), sock=listening, backlog=BACKLOG
    )
    heap.settle()
    log.info("listening", host=settings.host, port=listening.getsockname()[1])
    try:
        stopping = asyncio.ensure_future(stop.wait())
        # A watch only ends when it broke: better started anew than blind to a disk that fills up.
        await asyncio.wait({stopping, *watches}, return_when=asyncio.FIRST_COMPLETED)
        broken = [watch for watch in watches if watch.done()]
        was_closed = client.is_closed
        log.info("draining", count=len(edge.sessions))
        server.close()
        await edge.drain()
    finally:
        for each in (*watches, *([telling] if telling else [])):
            each.cancel()
        await exposition.stop()
        lists.close()
        recipients.close()
        directory.close()
        await client.close()
    for watch in broken:
        watch.result()
    if was_closed:
        raise StreamUnavailable("NATS ended the connection for good")
    log.info("stopped")


def _acceptance(
    client: Client, stream: MailStream, row: Row, settings: Settings, log: EventLog
) -> Acceptance:
    publisher = Publisher(client)
    return Acceptance(
        publisher,
        stream,
        lambda name, window: ObjectWriter(
            publisher, name, window=window, timeout_s=settings.timers.publish_s
        ),
        row=row,
        timeout_s=settings.timers.publish_s,
        log=log,
    )


def _through(
    client: Client, stream: MailStream, admission: Admission, row: Row, settings: Settings, log: EventLog
) -> Through:
    publisher = Publisher(client)
    return Through(
        client,
        lambda name, window: ObjectWriter(publisher, name, bucket=THROUGH_BUCKET, window=window),
        stream.delete,
        admission=admission,
        row=row,
        limit=settings.limits.through,
        timeout_s=settings.timers.through_s,
        log=log,
    )


async def _connected(settings: Settings, stop: asyncio.Event) -> Client | None:
    """Return the connection to NATS; None when `stop` was set before there was one."""
    connecting = asyncio.ensure_future(connect(settings.nats.url, name="smtp-ingress"))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({connecting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if connecting.done():
        return connecting.result()
    connecting.cancel()
    return None


def _bound(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if settings.processes > 1:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((settings.host, settings.port))
    bound.setblocking(False)
    return bound


async def _repeat(
    work: Callable[[], Awaitable[None]], every_s: float, *, at_once: asyncio.Event | None = None
) -> None:
    """Do `work` now and again, until cancelled; sooner when `at_once` is set."""
    wake = at_once or asyncio.Event()
    while True:
        await work()
        try:
            async with asyncio.timeout(every_s):
                await wake.wait()
        except TimeoutError:
            continue
        wake.clear()
