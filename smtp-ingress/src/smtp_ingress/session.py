"""One SMTP session: which command may come when, and what it does (RFC 5321, 4.1)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from mailchute.errors import MailchuteError

from smtp_ingress import replies, transaction
from smtp_ingress.acceptance import Draft
from smtp_ingress.connection import Connection
from smtp_ingress.edge import Edge
from smtp_ingress.intake import Intake
from smtp_ingress.reception import Reception
from smtp_ingress.replies import Refused, refusal_of
from smtp_ingress.transaction import Client, Transaction

_HELLO = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")  # RFC 5321, 4.1.1.1, and the underscores of real life
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_LAST_IN_GROUP = frozenset({"EHLO", "HELO", "DATA"})  # RFC 2920, 3.1
_WORKING = frozenset({"MAIL", "RCPT", "DATA", "QUIT"})
_HTTP = frozenset({"GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS"})


class Session(Connection):
    """What a client says and hears. NOOP, QUIT and the reply to RSET are aiosmtpd's."""

    def __init__(self, edge: Edge) -> None:
        super().__init__(edge)
        self.helo_name = ""  # "": not said yet
        self.is_extended = False  # it was EHLO
        self._transaction: Transaction | None = None
        self._intake: Intake | None = None  # while content comes in
        self._idle_count = self._transaction_count = 0

    def close_when_idle(self) -> None:
        """Say 421 and close, unless a mail is on its way in: that one still gets its reply."""
        if self._intake is None:
            self.say(replies.CLOSING.format(hostname=self.hostname))
            self.end()

    async def _handle_client(self) -> None:
        try:
            await self.greet()
            while self.transport is not None and not self.transport.is_closing():
                self.watchdog.set(self.edge.command_s())
                line = await self.inbox.line()
                self.watchdog.rest()
                await self._obey(line)
                if self.edge.is_closing:
                    raise Refused(replies.CLOSING.format(hostname=self.hostname), closes=True)
        except Refused as refusal:
            await self.dismiss(refusal.reply)
        except (EOFError, OSError):
            pass  # the client is gone
        finally:
            await self._drop_transaction()
            self.end()

    async def _obey(self, line: bytes) -> None:
        try:
            verb, text = _divided(line)
            self._check(verb)
            await COMMANDS[verb](self, text)
        except Refused as refusal:
            if refusal.closes:
                raise
            await self.push(refusal.reply)
        except MailchuteError as error:
            self.edge.log.warning("not-now", reason=f"{type(error).__name__}: {error}")
            await self.push(refusal_of(error).reply)
        except (EOFError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever broke is ours, and the client tries again
            self.edge.log.error("broken", error=error)
            await self._drop_transaction()
            await self.push(replies.NOT_NOW)

    def _check(self, verb: str) -> None:
        """Raise Refused where this command may not come now, whatever it says."""
        limits = self.edge.settings.limits
        if verb in _HTTP:
            raise Refused(replies.WRONG_PROTOCOL, closes=True)
        if verb in _LAST_IN_GROUP and len(self.inbox):
            raise Refused(replies.EARLY_COMMAND.format(command=verb), closes=True)
        if self.error_count > limits.errors:
            raise Refused(replies.TOO_MANY_ERRORS.format(hostname=self.hostname), closes=True)
        if verb not in COMMANDS:
            raise Refused(replies.UNKNOWN_COMMAND)
        self._idle_count += verb not in _WORKING
        if self._idle_count > limits.commands:
            raise Refused(replies.TOO_MANY_COMMANDS.format(hostname=self.hostname), closes=True)

    async def helo(self, hostname: str | None) -> None:
        await self._hello(hostname, "HELO")
        await self.push(f"250 {self.hostname}")

    async def ehlo(self, hostname: str | None) -> None:
        await self._hello(hostname, "EHLO")
        self.is_extended = True
        offers = [self.hostname, f"SIZE {self.edge.settings.limits.message_octets}", "8BITMIME", "SMTPUTF8"]
        offers += ["PIPELINING", "ENHANCEDSTATUSCODES"]
        if self.edge.tls_context is not None and self.tls is None:
            offers.append("STARTTLS")
        await self.push("\r\n".join([*(f"250-{offer}" for offer in offers[:-1]), f"250 {offers[-1]}"]))

    async def help(self, arg: str | None) -> None:
        await self.push("214 2.0.0 " + " ".join(sorted(COMMANDS)))

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
        await self._drop_transaction()

    async def mail(self, arg: str | None) -> None:
        if not self.helo_name:
            raise Refused(replies.NO_HELLO)
        if self._transaction is not None:
            raise Refused(replies.NESTED_MAIL)
        limits = self.edge.settings.limits
        begun = transaction.begin(arg, limit_octets=limits.message_octets)
        self.edge.check_room()
        self._transaction_count += 1
        self._idle_count = 0
        if self._transaction_count > limits.transactions:
            raise Refused(replies.TOO_MANY_COMMANDS.format(hostname=self.hostname), closes=True)
        self._transaction = begun
        await self.push(replies.SENDER_OK)

    async def rcpt(self, arg: str | None) -> None:
        if self._transaction is None:
            raise Refused(replies.NO_SENDER)
        limit = self.edge.settings.limits.recipients
        await self._transaction.add(arg, self.edge.recipients, limit=limit, has_tls=self.tls is not None)
        await self.push(replies.RECIPIENT_OK)

    async def data(self, arg: str | None) -> None:
        if arg:
            raise Refused("501 5.5.4 DATA takes no argument")
        drafts = self._drafts()
        self.edge.check_room()
        self._intake = intake = self.edge.new_intake(drafts)
        try:
            await self.push(replies.START_CONTENT)
            await self._reception(intake).dotted()
            self.watchdog.rest()
            reply = await self.edge.accept(drafts, intake)
        finally:
            await self._drop_transaction()
        await self.push(reply)

    async def rset(self, arg: str | None) -> None:
        if not arg:
            await self._drop_transaction()
        await self.smtp_RSET(arg)

    async def _hello(self, name: str | None, verb: str) -> None:
        if not name or not _HELLO.fullmatch(name):
            raise Refused(f"501 5.5.4 expected {verb} and your host name or address literal")
        await self._drop_transaction()
        self.helo_name = name
        self.is_extended = False

    def _drafts(self) -> list[Draft]:
        if self._transaction is None:
            raise Refused(replies.NO_SENDER)
        if not self._transaction.recipients:
            raise Refused(replies.NO_VALID_RECIPIENT)
        client = Client(
            ip=self.client_ip,
            helo=self.helo_name,
            tls=self.tls,
            is_extended=self.is_extended,
        )
        return self._transaction.drafts(client, hostname=self.hostname, now=datetime.now(UTC))

    def _reception(self, intake: Intake) -> Reception:
        timers = self.edge.settings.timers
        return Reception(
            self.inbox,
            intake,
            line_limit_octets=self.edge.settings.limits.line_octets,
            slowest_octets_s=timers.slowest_octets_s,
            expect=lambda: self.watchdog.set(timers.block_s),
        )

    async def _drop_transaction(self) -> None:
        """Forget the transaction; content that was not accepted leaves nothing behind."""
        intake, self._intake, self._transaction = self._intake, None, None
        if intake is not None:
            await self.edge.release(intake)


COMMANDS: dict[str, Callable[[Session, str | None], Awaitable[None]]] = {
    "EHLO": Session.ehlo,
    "HELO": Session.helo,
    "MAIL": Session.mail,
    "RCPT": Session.rcpt,
    "DATA": Session.data,
    "RSET": Session.rset,
    "NOOP": Session.smtp_NOOP,
    "QUIT": Session.smtp_QUIT,
    "VRFY": Session.vrfy,
    "EXPN": Session.expn,
    "HELP": Session.help,
    "STARTTLS": Session.starttls,
}


def _divided(line: bytes) -> tuple[str, str | None]:
    """Return the verb in upper case, and what follows it. Raises: Refused."""
    if _CONTROL.search(line):
        raise Refused(replies.BAD_SYNTAX)
    verb, _, rest = line.partition(b" ")
    text = rest.decode(errors="surrogateescape").strip(" \t")
    try:
        return verb.decode("ascii").upper(), text or None
    except UnicodeDecodeError as error:
        raise Refused(replies.BAD_SYNTAX) from error
