"""The moment a mail becomes ours: on the MAIL stream first, 250 after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from mailchute import wire
from mailchute.alias import AliasSnapshot
from mailchute.envelope import Envelope
from mailchute.errors import StreamFull, StreamUnavailable, TransientError
from mailchute.eventlog import EventLog
from mailchute.ids import new_id
from mailchute.jetstream import Publication, Receipt
from mailchute.journal import Event, JournalBatch, event_id_of
from mailchute.mail import ContentRef, MailObject, fingerprint_of
from mailchute.subjects import JOURNAL, JOURNAL_ALL, MAIL, MAIL_ACCEPTED

from smtp_ingress.board import Row
from smtp_ingress.intake import Intake, ObjectWriter
from smtp_ingress.replies import with_ids
from smtp_ingress.trace import trace_fields


class Publisher(Protocol):
    """mailchute.jetstream.Publisher, as far as it is used here."""

    async def publish_all(self, publications: list[Publication], *, timeout_s: float) -> list[Receipt]: ...


class Stored(Protocol):
    """What was accepted before."""

    async def mail_at(self, sequence: int) -> MailObject | None: ...
    async def delete(self, ref: ContentRef) -> None: ...


@dataclass(frozen=True)
class Draft:
    """One recipient's mail object before its content is known."""

    id: str
    envelope: Envelope
    alias: AliasSnapshot
    received_at: datetime
    trace: bytes


def draft(
    envelope: Envelope, alias: AliasSnapshot, *, hostname: str, received_at: datetime, is_extended: bool
) -> Draft:
    mail_id = new_id("msg")
    trace = trace_fields(
        envelope, mail_id=mail_id, hostname=hostname, received_at=received_at, is_extended=is_extended
    )
    return Draft(mail_id, envelope, alias, received_at, trace)


async def finished(drafts: list[Draft], intake: Intake) -> list[MailObject]:
    """
    Return the mail objects, now that their content has come in whole.

    Raises:
        StreamFull, StreamUnavailable: The Object Store does not take the content.
    """
    sha256 = intake.sha256()
    content = b"".join(intake.pieces)
    refs = [await writer.commit() for writer in intake.writers]
    return [
        MailObject(
            id=each.id,
            envelope=each.envelope,
            alias=each.alias,
            received_at=each.received_at,
            content=refs[index] if refs else each.trace + content,
            fingerprint=fingerprint_of(each.envelope.reverse_path, each.envelope.forward_path, sha256),
            size_octets=intake.size_octets,
            trace_octets=len(each.trace),
        )
        for index, each in enumerate(drafts)
    ]


class Acceptance:
    """
    Puts mails on the stream.

    Args:
        new_writer: Starts an object of this name in the Object Store, so many chunks on their way at once.
        timeout_s: For all receipts of one transaction together.
    """

    def __init__(
        self,
        publisher: Publisher,
        stored: Stored,
        new_writer: Callable[[str, int], ObjectWriter],
        *,
        row: Row,
        timeout_s: float,
        log: EventLog,
    ) -> None:
        self._row = row
        self._publisher = publisher
        self._stored = stored
        self._new_writer = new_writer
        self._timeout_s = timeout_s
        self._log = log

    def check_room(self) -> None:
        """There is room as long as there is any on the stream."""

    async def open_writers(self, drafts: list[Draft], window: int) -> list[ObjectWriter]:
        """Return one object for each mail, with its trace fields written."""
        writers = [self._new_writer(each.id, window) for each in drafts]
        for writer, each in zip(writers, drafts, strict=True):
            await writer.write(each.trace)
        return writers

    async def accept(self, drafts: list[Draft], intake: Intake) -> str:
        """
        Return the reply 250, once the stream has said that it holds every one of these mails.

        Raises:
            StreamFull, StreamUnavailable: Not all of them are known to be stored. Some may be; the client's
                next try then finds them by their fingerprint.
        """
        mails = await finished(drafts, intake)
        intake.is_accepted = True
        try:
            receipts = await self._publish(
                [Publication(MAIL_ACCEPTED, wire.encode(each), MAIL, each.fingerprint) for each in mails]
            )
        except StreamFull:
            if len(mails) == 1:  # it is certain that nothing was stored which refers to the content
                await self._forget(mails[0])
            raise
        known = [
            await self._already_have(mail, receipt.sequence) if receipt.is_duplicate else mail.id
            for mail, receipt in zip(mails, receipts, strict=True)
        ]
        self._row.count("duplicates", sum(receipt.is_duplicate for receipt in receipts))
        if all(receipt.is_duplicate for receipt in receipts):
            return with_ids("250 2.0.0 already have", known)
        return with_ids("250 2.0.0 accepted", known)

    async def _publish(self, publications: list[Publication]) -> list[Receipt]:
        if len(publications) == 1:
            return await self._publisher.publish_all(publications, timeout_s=self._timeout_s)
        try:
            # Where they go one by one, each has this long: all of them together have no longer.
            async with asyncio.timeout(self._timeout_s):
                return await self._publisher.publish_all(publications, timeout_s=self._timeout_s)
        except TimeoutError as error:
            raise StreamUnavailable("no receipt in time") from error

    async def _already_have(self, mail: MailObject, sequence: int) -> str:
        """Return the id under which the stream has held this mail all along, and journal the resend."""
        await self._forget(mail)
        try:
            first = await self._stored.mail_at(sequence)
        except TransientError:
            first = None
        if first is None:  # not to be read now, or its retention has ended; its fingerprint is still known
            return f"it as {MAIL} {sequence}"
        self._log.info("duplicate", mail_id=first.id)
        try:
            await self._publisher.publish_all([_resent(first, mail.id)], timeout_s=self._timeout_s)
        except TransientError as error:
            # The mail is safe; what is missing is a line in the journal.
            self._log.warning("duplicate-not-journaled", mail_id=first.id, reason=type(error).__name__)
        return first.id

    async def _forget(self, mail: MailObject) -> None:
        if isinstance(mail.content, ContentRef):
            try:
                await self._stored.delete(mail.content)
            except TransientError as error:
                self._log.warning("orphan-left", mail_id=mail.id, reason=type(error).__name__)


def _resent(first: MailObject, resend_id: str) -> Publication:
    """Return the journal's line; each resend is a fact of its own, so its own id tells it from the next."""
    event = Event(
        id=event_id_of("duplicate", first.id, run=resend_id),
        kind="duplicate",
        at=datetime.now(UTC),
        mail_id=first.id,
        account_id=first.alias.account_id,
        domain_id=first.alias.domain_id,
        alias_id=first.alias.alias_id,
    )
    return Publication(JOURNAL_ALL, wire.encode(JournalBatch(events=(event,))), JOURNAL)
