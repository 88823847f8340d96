"""The running SMTP edge of one process: started, drained, stopped."""

from __future__ import annotations

import asyncio
import socket

from mailchute.directory import Directory
from mailchute.eventlog import EventLog
from mailchute.jetstream import Publisher, connect
from mailchute.objects import ObjectWriter
from mailchute.subjects import REF_LIMIT_OCTETS

from smtp_ingress.acceptance import Acceptance
from smtp_ingress.edge import Edge
from smtp_ingress.mail_stream import MailStream
from smtp_ingress.recipients import Recipients
from smtp_ingress.session import Session
from smtp_ingress.settings import Settings

LOOK_EVERY_S = 1.0  # at how full MAIL is
BACKLOG = 1_024
RECORD_SURPLUS_OCTETS = 64 * 1024  # what a mail object has beside its content: envelope, snapshot, trace


async def serve(settings: Settings, stop: asyncio.Event, log: EventLog) -> None:
    """Accept mail until `stop` is set; then finish what is under way, and return."""
    client = await connect(settings.nats.url, name="smtp-ingress")
    stream = MailStream(client)
    await stream.look()
    directory = Directory(settings.database.url)
    recipients = Recipients(
        directory,
        hostname=settings.hostname,
        postmaster_alias=settings.postmaster_alias,
        protected=settings.protected,
    )
    publisher = Publisher(client)
    acceptance = Acceptance(
        publisher,
        stream,
        lambda name: ObjectWriter(publisher, name),
        timeout_s=settings.timers.publish_s,
        log=log,
    )
    edge = Edge(
        settings,
        recipients,
        acceptance,
        stream,
        log=log,
        content_limit_octets=min(REF_LIMIT_OCTETS, client.max_payload // 2) - RECORD_SURPLUS_OCTETS,
    )
    loop = asyncio.get_running_loop()
    watch = loop.create_task(stream.watch(LOOK_EVERY_S))
    server = await loop.create_server(lambda: Session(edge), sock=_listening(settings), backlog=BACKLOG)
    if not settings.postmaster_alias:
        log.warning(
            "no-postmaster",
            reason="postmaster@ and abuse@ of domains without such an alias or a catch-all are refused: "
            "set MAILCHUTE_POSTMASTER_ALIAS",
        )
    log.info("listening", host=settings.host, port=server.sockets[0].getsockname()[1])
    try:
        await stop.wait()
        log.info("draining", count=len(edge.sessions))
        server.close()
        await edge.drain()
    finally:
        watch.cancel()
        recipients.close()
        directory.close()
        await client.close()
    log.info("stopped")


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if settings.processes > 1:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind((settings.host, settings.port))
    listening.setblocking(False)
    return listening
