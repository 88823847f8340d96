"""Who may come in now, and how much of it: limits over all processes of this host."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from functools import lru_cache

from mailchute.settings import Network

from smtp_ingress import replies
from smtp_ingress.board import Row
from smtp_ingress.replies import Refused
from smtp_ingress.settings import Limits
from smtp_ingress.shares import Shares

STRESS_SHARE = 0.8  # of all connections: from here on clients that do nothing are cut off soon
ROOM_WAIT_S = 20.0  # a client waits so long for room, its socket unread, before it hears 452
ROOM_LOOK_S = 0.02
KNOWN_CLIENTS = 4_096  # addresses whose network is remembered
IPV4_PREFIX, IPV6_PREFIX = 24, 64  # what one operator usually has


class Admission:
    """
    Counts connections, octets and mails, and says when it is enough.

    Args:
        row: This process's part of what all of them count.
    """

    def __init__(
        self,
        limits: Limits,
        row: Row,
        *,
        hostname: str,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._limits = limits
        self._row = row
        self._hostname = hostname
        self._sleep = sleep
        self._networks = lru_cache(KNOWN_CLIENTS)(self._network)
        self.shares = Shares(limits, row)
        self.is_stressed = False  # as of the last connection that came or went here

    def network(self, client_ip: str) -> bytes | None:
        """Return what this client is counted under; None when it is exempt from counting."""
        return self._networks(client_ip)

    def enter(self, network: bytes | None) -> None:
        """
        Count a connection in; `leave` must follow, whatever this raises.

        Raises:
            Refused: There are too many, in all or of this client's network.
        """
        self._row.hold("connections", 1)
        self._row.count("connections_made")
        is_too_many = self._look() > self._limits.connections
        if network is not None:
            is_too_many |= self._row.join(network) > self._limits.network_connections
            rate = self._row.tick(network)
            is_too_many |= 0 < self._limits.network_rate < rate
        if is_too_many:
            self._row.count("connections_refused")
            raise Refused(replies.TOO_MANY_CONNECTIONS.format(hostname=self._hostname), closes=True)

    def leave(self, network: bytes | None) -> None:
        self._row.hold("connections", -1)
        self._look()
        if network is not None:
            self._row.join(network, -1)

    def check_guesses(self, network: bytes | None) -> None:
        """Raise Refused when this client's network named too many mailboxes that do not exist."""
        limit = self._limits.guess_rate
        if network is not None and 0 < limit <= self._row.rate(_guesses_key(network)):
            raise Refused(replies.TOO_MANY_GUESSES.format(hostname=self._hostname), closes=True)

    def count_guess(self, network: bytes | None) -> None:
        if network is not None and self._limits.guess_rate:
            self._row.tick(_guesses_key(network))

    def _look(self) -> int:
        count = self._row.held("connections")
        self.is_stressed = count > STRESS_SHARE * self._limits.connections
        return count

    async def reserve(self, octets: int) -> None:
        """
        Set memory aside for a mail; `release` gives it back.

        While there is none the client waits, and its socket is not read. One mail alone always finds room.

        Raises:
            Refused: There is none, and there was none for ROOM_WAIT_S.
        """
        waited_s = 0.0
        while (held := self._row.held("octets")) > 0 and held + octets > self._limits.memory_octets:
            if waited_s >= ROOM_WAIT_S:
                raise Refused(replies.BUSY)
            await self._sleep(ROOM_LOOK_S)
            waited_s += ROOM_LOOK_S
        self._row.hold("octets", octets)

    def release(self, octets: int) -> None:
        self._row.hold("octets", -octets)

    def _network(self, client_ip: str) -> bytes | None:
        return None if is_in(client_ip, self._limits.exempt) else network_of(client_ip)


def _guesses_key(network: bytes) -> bytes:
    return b"?" + network


def is_in(client_ip: str, networks: tuple[Network, ...]) -> bool:
    if not networks:
        return False
    address = ipaddress.ip_address(client_ip)
    return any(address in network for network in networks)


def network_of(client_ip: str) -> bytes:
    """Return what stands for the /24 or /64 that this address lies in."""
    address = ipaddress.ip_address(client_ip)
    kept = IPV4_PREFIX if address.version == 4 else IPV6_PREFIX
    return address.packed[: kept // 8]
