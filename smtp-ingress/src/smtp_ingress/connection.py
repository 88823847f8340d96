"""One client's connection, in clear or over TLS: bytes in, replies out, and an end in every case."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from functools import lru_cache
from typing import cast

from aiosmtpd.smtp import SMTP
from mailchute.envelope import Tls

from smtp_ingress import replies
from smtp_ingress.admission import is_in
from smtp_ingress.dnsbl import Listing, heed
from smtp_ingress.edge import Edge
from smtp_ingress.inbox import Inbox
from smtp_ingress.proxy import proxied_ip
from smtp_ingress.replies import Refused
from smtp_ingress.watchdog import Watchdog

LINGER_S = 10.0  # after a refusal that closes: a client in the middle of sending still reads why
LINGER_OCTETS = 32 * 1024 * 1024
QUIET_S = 2.0  # a client that sends nothing for so long has read it, or never will
HANDSHAKE_S = 30.0


class Connection(SMTP):
    """
    aiosmtpd's protocol with a transport side of our own.

    SMTP's own __init__ is not called: it inspects every attribute for each connection, 0.26 ms, which is
    half of what a whole mail may cost. What its inherited commands need is set here.
    """

    def __init__(self, edge: Edge) -> None:
        self.loop = asyncio.get_running_loop()
        self.edge = edge
        self.hostname = edge.settings.hostname
        self.event_handler = None
        self.transport: asyncio.Transport | None = None
        self._handle_hooks = {}
        self.inbox = Inbox()
        self.watchdog = Watchdog(self.loop, self._late, total_s=edge.settings.timers.session_s)
        self.client_ip = ""
        self.asked: asyncio.Task[tuple[Listing, ...]] | None = None  # what DNS lists say of the client
        self.listed_by: set[str] = set()  # DNS lists that name the client and only score
        self.tls: Tls | None = None
        self.error_count = 0
        self._writable: asyncio.Future[None] | None = None
        self.network: bytes | None = None  # what the client is counted under; None: it is not
        self._is_counted = False

    # The transport calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._attach(transport)
        peer = transport.get_extra_info("peername")
        if not peer:  # gone before we looked
            self.end()
            return
        self.client_ip = plain_ip(peer[0])
        self._handler_coroutine = self.loop.create_task(self._handle_client())
        self.edge.sessions.add(self)

    def data_received(self, data: bytes) -> None:
        self.inbox.feed(data)

    def eof_received(self) -> bool:
        self.inbox.end()
        return self.tls is None  # half-closed: what was sent still gets its reply

    def connection_lost(self, error: Exception | None) -> None:
        self.inbox.end()
        self.watchdog.stop()
        self.resume_writing()
        self.edge.sessions.discard(self)

    def pause_writing(self) -> None:
        self._writable = self.loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    # The session calls these.

    def close_when_idle(self) -> None:
        """Close for good, unless work is under way."""
        self.end()

    async def push(self, status: str | bytes) -> None:
        """Send one reply; waits while the client does not read."""
        self.say(status if isinstance(status, str) else status.decode())
        if self._writable is not None:
            self.watchdog.set(self.edge.settings.timers.command_s)
            await self._writable
            self._writable = None

    def say(self, reply: str) -> None:
        """Send one reply without waiting."""
        if reply.startswith("5"):
            self.error_count += 1
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(f"{replies.INHERITED.get(reply, reply)}\r\n".encode(errors="replace"))

    def end(self) -> None:
        if self.transport is not None:
            self.transport.close()
            if self.transport.get_write_buffer_size():
                # A client that does not read its last reply must not keep the socket open.
                self.loop.call_later(QUIET_S, self.transport.abort)
        if self.asked is not None:
            self.asked.cancel()
        if self._is_counted:
            self._is_counted = False
            self.edge.admission.leave(self.network)

    async def admit(self) -> None:
        """
        Let the client in, until `end`.

        Raises:
            Refused: It is one too many, or unwanted.
            EOFError: It should have said who it is, and did not.
        """
        edge = self.edge
        if is_in(self.client_ip, edge.settings.proxy_from):
            found = await proxied_ip(self.inbox)
            self.client_ip = self.client_ip if found is None else plain_ip(found)
        self.network = edge.admission.network(self.client_ip)
        self._is_counted = True
        edge.admission.enter(self.network)
        if edge.blocklist.has_client(self.client_ip):
            edge.row.count("connections_refused")
            raise Refused(replies.BLOCKED.format(client=self.client_ip), closes=True)
        if self.network is not None:
            self.asked = edge.lists.ask(self.client_ip)

    async def greet(self) -> None:
        """Say 220, unless the client spoke first. Raises: Refused."""
        delay_s = self.edge.settings.timers.banner_s
        if delay_s:
            is_silent = await self.inbox.silence(delay_s)
        else:
            await asyncio.sleep(0)  # one turn of the loop: what came with the connection is seen
            is_silent = not len(self.inbox)
        if not is_silent:
            raise Refused(replies.EARLY_TALKER, closes=True)
        await self.push(f"220 {self.hostname} ESMTP")

    async def heed_lists(self) -> None:
        """Raise Refused for a client that a DNS list names which is there to refuse."""
        for each in await heed(self.asked):
            if each.by.action == "refuse":
                self.edge.row.count("mails_refused")
                raise Refused(replies.listed(self.client_ip, each.by.zone, each.reason))
            self.listed_by.add(each.by.zone)

    async def dismiss(self, reply: str) -> None:
        """Say why, and close, without a reset overtaking the reply while the client still sends."""
        self.say(reply)
        if self.transport is None or self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        read_octets = 0
        with contextlib.suppress(TimeoutError, EOFError):
            async with asyncio.timeout(LINGER_S):
                while read_octets < LINGER_OCTETS and not await self.inbox.silence(QUIET_S):
                    read_octets += len(await self.inbox.block())

    async def discard(self, size_octets: int, refusal: Refused) -> None:
        """
        Read octets that nobody wants, so that what follows is a command again.

        Raises:
            Refused: They are too many: `refusal`, and the connection ends.
        """
        if size_octets > LINGER_OCTETS:
            raise Refused(refusal.reply, closes=True)
        while size_octets > 0:
            self.watchdog.set(self.edge.settings.timers.block_s)
            size_octets -= len(await self.inbox.block(size_octets))

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Go on under TLS; the client has been told. Raises: EOFError, there is no connection any more."""
        assert self.transport is not None
        # Whatever was sent before the handshake was sent in clear, by anyone (RFC 3207, 4.2; CVE-2021-38371).
        self.inbox.clear()
        self.watchdog.set(HANDSHAKE_S)
        try:
            transport = await self.loop.start_tls(
                self.transport, self, context, server_side=True, ssl_handshake_timeout=HANDSHAKE_S
            )
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            self.edge.log.info("handshake-failed", reason=type(error).__name__)
            raise EOFError from error
        if transport is None:
            raise EOFError
        self._attach(transport)
        self.edge.row.count("tls_handshakes")
        found = transport.get_extra_info("ssl_object")
        self.tls = Tls(found.version() or "", (found.cipher() or ("",))[0])

    def _attach(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = self.inbox.transport = cast("asyncio.Transport", transport)

    def _late(self) -> None:
        """Called by the watchdog."""
        self.say(replies.TIMED_OUT.format(hostname=self.hostname))
        self.inbox.end()
        self.end()


@lru_cache(4_096)
def plain_ip(text: str) -> str:
    """Return an address as it is told: IPv4 also where it came in an IPv6 one, and without a zone."""
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
