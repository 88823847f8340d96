"""
One connection to a pinned address: dialled, secured for the name, used for one exchange at a time.

Not http.client and not urllib3: their time limits are for one read, so that an endpoint that sends one
octet a second holds an attempt for hours (docs/adr/0014-own-http-client.md).
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from typing import NamedTuple

from .answer import Answer, AnswerReader
from .destination import Address

CONNECT_S = 5.0  # of one address; a host that drops packets leaves time for its next address
SEND_OCTETS = 256 * 1024  # at once: the deadline is looked at in between


class Route(NamedTuple):
    """What a connection is for; only an equal route may use it again."""

    scheme: str
    address: Address
    port: int
    host: str  # the name in SNI and in the certificate
    client: str  # whose client certificate is shown; "" for none


class Connection:
    """An open connection. Not to be shared by two threads at a time."""

    def __init__(self, route: Route, wire: socket.socket) -> None:
        self.route = route
        self._wire = wire

    @classmethod
    def dial(cls, route: Route, tls: ssl.SSLContext, ends_at: float) -> Connection:
        """
        Return a connection to the route's address, its certificate checked against the route's host.

        Args:
            ends_at: When the attempt is over, by time.monotonic().

        Raises:
            OSError: It cannot be reached in time, or TLS failed (ssl.SSLError).
        """
        family = socket.AF_INET if route.address.version == 4 else socket.AF_INET6
        wire = socket.socket(family, socket.SOCK_STREAM)
        try:
            wire.settimeout(min(CONNECT_S, _left_s(ends_at)))
            wire.connect((str(route.address), route.port))
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if route.scheme == "https":
                wire.settimeout(_left_s(ends_at))
                wire = tls.wrap_socket(wire, server_hostname=route.host)
        except BaseException:
            wire.close()
            raise
        return cls(route, wire)

    def exchange(self, head: bytes, body: bytes, ends_at: float) -> Answer:
        """
        Send one request and return its answer.

        Raises:
            Unanswered, EndpointFault, TimeoutError: As AnswerReader.read.
        """
        try:
            if len(head) + len(body) <= SEND_OCTETS:
                self._send(head + body, ends_at)
            else:
                self._send(head, ends_at)
                octets = memoryview(body)
                for start in range(0, len(body), SEND_OCTETS):
                    self._send(octets[start : start + SEND_OCTETS], ends_at)
        except TimeoutError:
            raise
        except OSError:
            pass  # it may have answered before it had read all, such as 413; if not, reading fails too
        return AnswerReader(self._wire, ends_at).read()

    def is_stale(self) -> bool:
        """Return whether the endpoint has closed it, or said something unasked, while it lay idle."""
        if isinstance(self._wire, ssl.SSLSocket) and self._wire.pending():
            return True
        watch = select.poll()
        watch.register(self._wire, select.POLLIN | select.POLLHUP | select.POLLERR)
        return bool(watch.poll(0))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._wire.close()

    def _send(self, octets: bytes | memoryview, ends_at: float) -> None:
        self._wire.settimeout(_left_s(ends_at))
        self._wire.sendall(octets)


def _left_s(ends_at: float) -> float:
    left_s = ends_at - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s
