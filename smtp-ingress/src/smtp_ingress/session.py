"""One SMTP session: which command may come when, and what it does (RFC 5321, 4.1)."""

from __future__ import annotations

import re
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from mailchute.errors import MailchuteError

from smtp_ingress import replies, transaction
from smtp_ingress.acceptance import Draft
from smtp_ingress.edge import Edge
from smtp_ingress.hello import Hello
from smtp_ingress.intake import Intake
from smtp_ingress.reception import Reception
from smtp_ingress.replies import Refused, refusal_of
from smtp_ingress.transaction import Client, Transaction

_BDAT = re.compile(r"([0-9]{1,20})(?: +(LAST))?", re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_LAST_IN_GROUP = frozenset({"EHLO", "HELO", "DATA"})  # RFC 2920, 3.1
_WORKING = frozenset({"MAIL", "RCPT", "DATA", "BDAT", "QUIT"})
_HTTP = frozenset({"GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS"})


class Session(Hello):
    """What a client says and hears."""

    def __init__(self, edge: Edge) -> None:
        super().__init__(edge)
        self._transaction: Transaction | None = None
        self._drafts: list[Draft] = []
        self._intake: Intake | None = None  # while content comes in
        self._reception: Reception | None = None
        self._idle_count = self._transaction_count = 0

    def close_when_idle(self) -> None:
        """Say 421 and close, unless a mail is on its way in: that one still gets its reply."""
        if self._intake is None:
            self.say(replies.CLOSING.format(hostname=self.hostname))
            self.end()

    async def _handle_client(self) -> None:
        try:
            await self.admit()
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
            await self.drop_transaction()
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
            self.edge.log.warning("not-now", reason=type(error).__name__)
            self.edge.log.debug("not-now-because", reason=str(error))  # may hold an address
            await self.push(refusal_of(error).reply)
        except (EOFError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever broke is ours, and the client tries again
            # The text of an exception may hold what the client said; where it came from does not.
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.edge.row.count("errors")
            self.edge.log.error("broken", reason=f"{type(error).__name__} at {where.name}:{where.lineno}")
            self.edge.log.debug("broken-because", reason="".join(traceback.format_exception(error)))
            await self.drop_transaction()
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

    async def mail(self, arg: str | None) -> None:
        if not self.helo_name:
            raise Refused(replies.NO_HELLO)
        if self._transaction is not None:
            raise Refused(replies.NESTED_MAIL)
        limits = self.edge.settings.limits
        begun = transaction.begin(arg, limit_octets=limits.message_octets)
        self.edge.check_sender(begun.reverse_path)
        self.edge.check_stocks()
        self._transaction_count += 1
        self._idle_count = 0
        if self._transaction_count > limits.transactions:
            raise Refused(replies.TOO_MANY_COMMANDS.format(hostname=self.hostname), closes=True)
        self._transaction = begun
        await self.push(replies.SENDER_OK)

    async def rcpt(self, arg: str | None) -> None:
        if self._transaction is None:
            raise Refused(replies.NO_SENDER)
        if not self._transaction.recipients:
            await self.heed_lists()
        limit = self.edge.settings.limits.recipients
        self.edge.admission.check_guesses(self.network)
        try:
            path, alias = await self._transaction.find(
                arg, self.edge.recipients, limit=limit, has_tls=self.tls is not None
            )
            await self.edge.check_recipient(path, alias, self._transaction, client_ip=self.client_ip)
            self._transaction.recipients[path] = alias
        except Refused as refusal:
            self.edge.row.count("recipients_refused")
            if refusal.reply in (replies.NO_SUCH_USER, replies.NO_RELAY):
                self.edge.admission.count_guess(self.network)
            raise
        await self.push(replies.RECIPIENT_OK)

    async def data(self, arg: str | None) -> None:
        if arg:
            raise Refused("501 5.5.4 DATA takes no argument")
        if self._intake is not None:
            raise Refused(replies.MIXED_DATA)
        self._check_recipients()
        try:
            reception = await self._begin_content()
            await self.push(replies.START_CONTENT)
            await reception.dotted()
            reply = await self._accept()
        finally:
            await self.drop_transaction()
        await self.push(reply)

    async def bdat(self, arg: str | None) -> None:
        """Take in a chunk (RFC 3030, 2); its octets come at once, whatever is answered."""
        found = _BDAT.fullmatch(arg or "")
        if found is None:
            raise Refused("501 5.5.4 expected BDAT size [LAST]", closes=True)
        size_octets, is_last = int(found[1]), found[2] is not None
        try:
            self._check_recipients()
            reception = self._reception or await self._begin_content()
        except Refused as refusal:
            await self.drop_transaction()
            await self.discard(size_octets, refusal)
            raise
        try:
            await reception.chunk(size_octets, is_last=is_last)
            reply = await self._accept() if is_last else f"250 2.0.0 {size_octets} octets received"
        except BaseException:
            await self.drop_transaction()
            raise
        if is_last:
            await self.drop_transaction()
        await self.push(reply)

    def _check_recipients(self) -> None:
        if self._transaction is None:
            raise Refused(replies.NO_SENDER)
        if not self._transaction.recipients:
            raise Refused(replies.NO_VALID_RECIPIENT)

    async def _begin_content(self) -> Reception:
        assert self._transaction is not None
        client = Client(
            ip=self.client_ip,
            helo=self.helo_name,
            tls=self.tls,
            is_extended=self.is_extended,
            listed_by=tuple(sorted(self.listed_by)),
        )
        self._drafts = self._transaction.drafts(client, hostname=self.hostname, now=datetime.now(UTC))
        self._intake = intake = await self.edge.open_intake(self._drafts, self._transaction)
        timers = self.edge.settings.timers
        self._reception = Reception(
            self.inbox,
            intake,
            limits=self.edge.settings.limits,
            timers=timers,
            expect=lambda: self.watchdog.set(timers.block_s),
            release=lambda: self.edge.release(intake),
        )
        return self._reception

    async def _accept(self) -> str:
        assert self._intake is not None
        self.watchdog.rest()
        return await self.edge.accept(self._drafts, self._intake)

    async def drop_transaction(self) -> None:
        """Forget the transaction; content that was not accepted leaves nothing behind."""
        intake, self._intake, self._reception = self._intake, None, None
        self._transaction, self._drafts = None, []
        if intake is not None:
            await self.edge.release(intake)


COMMANDS: dict[str, Callable[[Session, str | None], Awaitable[None]]] = {
    "EHLO": Session.ehlo,
    "HELO": Session.helo,
    "MAIL": Session.mail,
    "RCPT": Session.rcpt,
    "DATA": Session.data,
    "BDAT": Session.bdat,
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
