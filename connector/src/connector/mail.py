"""From MAIL to DELIVERY: an accepted mail is scanned, parsed, and owed to its endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from datetime import UTC, datetime

import msgspec
from mailchute import subjects, wire
from mailchute.delivery import WebhookDelivery, delivery_id_of
from mailchute.errors import ContentMissing, NewerVersion, TransientError, Undecodable
from mailchute.eventlog import event_log
from mailchute.mail import MailObject
from mailchute.parsed import ParseAnswer

from connector.burial import Burial
from connector.content import Contents
from connector.delivery import Delivery
from connector.first import FirstAttempts
from connector.function import FunctionAway
from connector.journal import Journal
from connector.poison import Poison
from connector.reading import Reading, Unreadable
from connector.told import accepted, carried_on

NAK_SOON_S = 1.0
NAK_UPGRADE_S = 30.0
MISSING_MAX = 3  # hand-outs after which missing content is believed to be gone
MISSING_DELAY_S = 1.0
FAILED_DELAYS_S = (5.0, 15.0, 60.0, 300.0, 900.0)  # the function fails over it: the last repeats
FAILED_FOR_S = 3 * 86_400  # a mail is worked on degraded, and then dead, after this long of failing

log = event_log("connector")


class MailStage:
    """Works on accepted mail, and again on mail that is replayed."""

    def __init__(
        self,
        *,
        first: FirstAttempts,
        contents: Contents,
        journal: Journal,
        burial: Burial,
        poison: Poison,
        reading: Reading,
    ) -> None:
        self._first = first
        self._contents = contents
        self._journal = journal
        self._burial = burial
        self._poison = poison
        self._reading = reading

    async def work(self, delivery: Delivery) -> None:
        """Carry one mail on, and acknowledge it once what follows is published."""
        try:
            mail = wire.decode(delivery.body, MailObject)
        except NewerVersion:
            await delivery.nak(NAK_UPGRADE_S)
            return
        except Undecodable as error:
            await self._burial.of_unreadable(delivery, stage="scan", reason=str(error))
            await delivery.ack()
            return
        try:
            if await self._poison.is_deadly(delivery):
                await self._bury(delivery, mail, "scan", "poison: the connector died over it")
                return
            await self._work(mail, delivery)
        finally:
            await self._poison.unmark(delivery)

    async def _work(self, mail: MailObject, delivery: Delivery) -> None:
        age_s = (datetime.now(UTC) - mail.received_at).total_seconds()
        try:
            await self.carry(
                mail,
                delivery.body,
                delivery.sequence,
                is_last_try=age_s > FAILED_FOR_S,
                at_once=delivery.num_delivered == 1,
            )
        except FunctionAway:
            await delivery.nak(NAK_SOON_S)
        except TransientError as error:
            await self._wait(mail, delivery, error)
        except ContentMissing as error:
            if delivery.num_delivered < MISSING_MAX:
                await delivery.nak(MISSING_DELAY_S)
            else:
                await self._bury(delivery, mail, "scan", str(error))
        else:
            await delivery.ack()

    async def _wait(self, mail: MailObject, delivery: Delivery, error: TransientError) -> None:
        delay_s = FAILED_DELAYS_S[min(delivery.num_delivered, len(FAILED_DELAYS_S)) - 1]
        log.warning("mail-waits", mail_id=mail.id, attempt=delivery.num_delivered, reason=str(error))
        if delivery.num_delivered == 1:  # people see it in the log while it waits
            await self._journal.tell(accepted(mail, delivery.sequence))
        await delivery.nak(delay_s)

    async def carry(
        self,
        mail: MailObject,
        record: bytes,
        sequence: int,
        *,
        run: str = "0",
        endpoint_id: str | None = None,
        is_last_try: bool = False,
        at_once: bool = False,
    ) -> None:
        """
        Scan, parse, settle or publish what is owed, and journal it.

        Args:
            record: The mail object as it lies on MAIL.
            run: "0", or the id of the replay: new work with ids of its own.
            endpoint_id: Only this endpoint; None for all of the alias's.
            is_last_try: What fails now is worked on without the function that fails.
            at_once: No other connector can have come as far with it: first attempts may begin now.

        Raises:
            TransientError: Again later; nothing that was published until here does harm.
            ContentMissing: Its content is gone.
        """
        try:
            async with self._contents.resolved(mail.content) as content:
                if content is not mail.content:
                    record = wire.encode(msgspec.structs.replace(mail, content=content))
                parsed = await self._reading.read(mail, record, is_last_try=is_last_try)
                del record, content
        except Unreadable as dead:
            await self._burial.of_mail(mail, wire.encode(mail), stage=dead.stage, reason=str(dead), run=run)
            if run == "0":
                await self._journal.tell(accepted(mail, sequence))
            return
        if mail.answered_by is not None and run == "0":
            # What its client waited for was decided then: another look at the DNS decides nothing anew.
            parsed = msgspec.structs.replace(parsed, decision="deliver", endpoint_id=None)
        owed = owed_of(mail, parsed, sequence, run, endpoint_id) if parsed.decision == "deliver" else []
        events = [carried_on(mail, parsed, run, tuple(each.endpoint_id for each in owed))]
        if run == "0":
            events.insert(0, accepted(mail, sequence))
        told = self._journal.note(*events)
        if len(owed) == 1:
            await self._first.owe(owed[0], at_once=at_once)
        else:
            await _all(self._first.owe(each, at_once=at_once) for each in owed)
        await told.wait()

    async def _bury(self, delivery: Delivery, mail: MailObject, stage: str, reason: str) -> None:
        await self._burial.of_mail(mail, delivery.body, stage=stage, reason=reason, run="0")
        await delivery.ack()


def owed_of(
    mail: MailObject, parsed: ParseAnswer, sequence: int, run: str, only: str | None
) -> list[WebhookDelivery]:
    """
    Return a delivery for each endpoint that is to have this mail.

    Args:
        sequence: Where the mail lies on MAIL.
        only: The one endpoint; None for all, or the one that a rule chose.
    """
    only = only or parsed.endpoint_id  # a replay to one endpoint goes there, whatever the rules say
    endpoints = [each for each in mail.alias.endpoints if only is None or each.id == only]
    if run == "0":
        endpoints = [each for each in endpoints if each.id != mail.answered_by]
    return [
        WebhookDelivery(
            id=delivery_id_of(mail.id, endpoint.id, run),
            run=run,
            mail_id=mail.id,
            account_id=mail.alias.account_id,
            domain_id=mail.alias.domain_id,
            alias_id=mail.alias.alias_id,
            endpoint_id=endpoint.id,
            format=endpoint.format,
            payload=parsed.payload,
            mail_stream=subjects.MAIL,
            mail_sequence=sequence,
            tags=parsed.tags,
            spam_score=parsed.spam_score,
            created_at=datetime.now(UTC),
            needs_raw="raw" in endpoint.include,
        )
        for endpoint in endpoints
    ]


async def _all(works: Iterable[Awaitable[None]]) -> None:
    """Return once all have ended. Raises: what one of them raised."""
    for failure in await asyncio.gather(*works, return_exceptions=True):
        if failure is not None:
            raise failure
