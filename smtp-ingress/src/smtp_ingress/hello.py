"""What client and server say to each other before and between mails (RFC 5321, 4.1.1.1 and 4.1.1.5 on)."""

from __future__ import annotations

import re
from functools import lru_cache

from smtp_ingress import replies
from smtp_ingress.connection import Connection
from smtp_ingress.edge import Edge
from smtp_ingress.replies import Refused

_NAME = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")  # RFC 5321, 4.1.1.1, and the underscores of real life


class Hello(Connection):
    """The commands that carry no mail. NOOP, QUIT and the reply to RSET are aiosmtpd's."""

    def __init__(self, edge: Edge) -> None:
        super().__init__(edge)
        self.helo_name = ""  # "": not said yet
        self.is_extended = False  # it was EHLO

    async def drop_transaction(self) -> None:
        """Forget the transaction that is under way, if there is one."""

    async def helo(self, hostname: str | None) -> None:
        await self._hello(hostname, "HELO")
        await self.push(f"250 {self.hostname}")

    async def ehlo(self, hostname: str | None) -> None:
        await self._hello(hostname, "EHLO")
        self.is_extended = True
        has_starttls = self.edge.tls_context is not None and self.tls is None
        await self.push(_offers(self.hostname, self.edge.settings.limits.message_octets, has_starttls))

    async def help(self, arg: str | None) -> None:
        await self.push("214 2.0.0 " + "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY STARTTLS")

    async def vrfy(self, arg: str | None) -> None:
        if not arg:
            raise Refused("501 5.5.4 expected VRFY address")
        await self.push("252 2.5.0 send a mail and see")  # RFC 5321, 3.5.3: addresses are not told here

    async def expn(self, arg: str | None) -> None:
        raise Refused("502 5.5.1 lists are not told here")

    async def starttls(self, arg: str | None) -> None:
        if arg:
            raise Refused("501 5.5.4 STARTTLS takes no argument")
        if self.tls is not None or self.edge.tls_context is None:
            raise Refused("503 5.5.1 TLS is on already" if self.tls else "502 5.5.1 TLS is not offered")
        await self.push(replies.START_TLS)
        await self.start_tls(self.edge.tls_context)
        self.helo_name = ""  # RFC 3207, 4.2: what was said in clear is forgotten
        await self.drop_transaction()

    async def rset(self, arg: str | None) -> None:
        if not arg:
            await self.drop_transaction()
        await self.smtp_RSET(arg)

    async def _hello(self, name: str | None, verb: str) -> None:
        if not name or not _NAME.fullmatch(name):
            raise Refused(f"501 5.5.4 expected {verb} and your host name or address literal")
        await self.drop_transaction()
        self.helo_name = name
        self.is_extended = False


@lru_cache(4)
def _offers(hostname: str, message_octets: int, has_starttls: bool) -> str:
    """Return the reply to EHLO: exactly what is kept."""
    lines = [hostname, f"SIZE {message_octets}", "8BITMIME", "SMTPUTF8", "PIPELINING"]
    lines += ["ENHANCEDSTATUSCODES", "CHUNKING", *(["STARTTLS"] if has_starttls else [])]
    return "\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])
