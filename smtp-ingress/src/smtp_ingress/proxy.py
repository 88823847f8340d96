"""Who the client behind a load balancer is (HAProxy's PROXY protocol, versions 1 and 2)."""

from __future__ import annotations

import asyncio

from aiosmtpd.proxy_protocol import V2_CMD, get_proxy

from smtp_ingress.inbox import Inbox

HEADER_S = 5.0  # "at least 3 seconds", section 2


async def proxied_ip(inbox: Inbox) -> str | None:
    """
    Read the header that comes before everything else, and return the client's address.

    Returns:
        None when the balancer speaks for itself (a health check: LOCAL, UNKNOWN).

    Raises:
        EOFError: There is no header, or not in time: the connection is worth nothing.
    """
    try:
        async with asyncio.timeout(HEADER_S):
            found = await get_proxy(_Reader(inbox))
    except TimeoutError as error:
        raise EOFError from error
    if not found.valid:
        raise EOFError
    if found.command == V2_CMD.LOCAL or found.src_addr is None:
        return None
    return str(found.src_addr)


class _Reader:
    """The inbox as aiosmtpd's parser wants to read it."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def read(self, num_bytes: int | None = None) -> bytes:
        return await self._inbox.block(num_bytes or 1)

    async def readexactly(self, n: int) -> bytes:
        found = b""
        while len(found) < n:
            found += await self._inbox.block(n - len(found))
        return found

    async def readuntil(self, until_chars: bytes | None = None) -> bytes:
        found = b""
        while not found.endswith(until_chars or b"\n"):
            found += await self._inbox.block(1)
        return found
