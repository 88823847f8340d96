"""From MAIL to DELIVERY: an accepted mail is scanned, parsed, and owed to its endpoints."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from mailchute import subjects, wire
from mailchute.delivery import WebhookDelivery, delivery_id_of
from mailchute.errors import ContentMissing, NewerVersion, TransientError, Undecodable
from mailchute.eventlog import event_log
from mailchute.mail import MailObject
from mailchute.parsed import ParseAnswer
from mailchute.verdicts import ScanReport, Security

from connector.answer import NotNow, Refused, value_of
from connector.batch import FunctionAnswer
from connector.burial import Burial
from connector.content import Contents
from connector.delivery import Delivery
from connector.fresh import Fresh
from connector.function import Function, FunctionAway, FunctionBroke
from connector.journal import Journal
from connector.poison import Poison
from connector.told import accepted, carried_on

BROKE_MAX = 3  # a mail that brings a function down this often is worked on without it
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
        fresh: Fresh,
        contents: Contents,
        journal: Journal,
        burial: Burial,
        poison: Poison,
        scan: Function,
        parse: Function,
    ) -> None:
        self._fresh = fresh
        self._contents = contents
        self._journal = journal
        self._burial = burial
        self._poison = poison
        self._scan = scan
        self._parse = parse
        self._broke: dict[tuple[str, str], int] = {}  # (function, mail) → how often

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
            await self.carry(mail, delivery.body, delivery.sequence, is_last_try=age_s > FAILED_FOR_S)
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
    ) -> None:
        """
        Scan, parse, publish what is owed, and journal it.

        Args:
            record: The mail object as it lies on MAIL.
            run: "0", or the id of the replay: new work with ids of its own.
            endpoint_id: Only this endpoint; None for all of the alias's.
            is_last_try: What fails now is worked on without the function that fails.

        Raises:
            TransientError: Again later; nothing that was published until here does harm.
            ContentMissing: Its content is gone.
        """
        try:
            async with self._contents.resolved(mail.content) as content:
                if content is not mail.content:
                    record = wire.encode(msgspec.structs.replace(mail, content=content))
                report = await self._scanned(mail, record, is_last_try=is_last_try)
                parsed = await self._parsed(mail, record, report, is_last_try=is_last_try)
                del record, content
        except _Dead as dead:
            await self._burial.of_mail(mail, wire.encode(mail), stage=dead.stage, reason=str(dead), run=run)
            if run == "0":
                await self._journal.tell(accepted(mail, sequence))
            return
        endpoint_ids: tuple[str, ...] = ()
        if parsed.decision == "deliver":
            endpoint_ids = await self._publish(mail, parsed, sequence, run, endpoint_id)
        events = [carried_on(mail, parsed, run, endpoint_ids)]
        if run == "0":
            events.insert(0, accepted(mail, sequence))
        await self._journal.tell(*events)

    async def _scanned(self, mail: MailObject, record: bytes, *, is_last_try: bool) -> bytes:
        """Return the report as octets; an empty one, that says so, where the mail brings scan down."""
        try:
            answer = await self._call(self._scan, record, mail.id)
            value_of(answer, ScanReport, stage="scan")
            return answer.body
        except (FunctionBroke, NotNow) as error:
            if isinstance(error, NotNow) and not is_last_try:
                raise
            log.warning("scan-skipped", mail_id=mail.id, stage="scan", reason=str(error))
            return wire.encode(ScanReport(security=Security(degraded=True, limits=("scan-failed",))))
        except Refused as error:
            raise _Dead("scan", str(error)) from error

    async def _parsed(
        self, mail: MailObject, record: bytes, report: bytes, *, is_last_try: bool
    ) -> ParseAnswer:
        def request(degraded: str | None) -> bytes:
            return wire.encode(
                {
                    "version": wire.VERSION,
                    "mail": msgspec.Raw(record),
                    "report": msgspec.Raw(report),
                    "degraded": degraded,
                }
            )

        try:
            try:
                answer = await self._call(self._parse, request(None), mail.id)
                return value_of(answer, ParseAnswer, stage="parse")
            except (FunctionBroke, NotNow) as error:
                if isinstance(error, NotNow) and not is_last_try:
                    raise
                log.warning("parsed-degraded", mail_id=mail.id, stage="parse", reason=str(error))
                answer = await self._call(self._parse, request(str(error)), f"{mail.id} degraded")
                return value_of(answer, ParseAnswer, stage="parse")
        except FunctionBroke as error:
            raise _Dead("parse", f"brings parse down even degraded: {error}") from error
        except Refused as error:
            raise _Dead("parse", str(error)) from error
        except NotNow as error:
            if is_last_try:
                raise _Dead("parse", str(error)) from error
            raise

    async def _call(self, function: Function, body: bytes, suspect: str) -> FunctionAnswer:
        """Call; a mail that brought the function down is called alone, BROKE_MAX times in all."""
        key = (function.name, suspect)
        while True:
            count = self._broke.get(key, 0)
            if count >= BROKE_MAX:
                raise FunctionBroke(f"brought {function.name} down {count} times")
            try:
                answer = await function.call(body, alone=count > 0)
            except FunctionBroke:
                if len(self._broke) > 10_000:
                    self._broke.clear()  # a guard, not a ledger
                self._broke[key] = count + 1
                continue
            self._broke.pop(key, None)
            return answer

    async def _publish(
        self, mail: MailObject, parsed: ParseAnswer, sequence: int, run: str, only: str | None
    ) -> tuple[str, ...]:
        endpoints = [each for each in mail.alias.endpoints if only is None or each.id == only]
        for endpoint in endpoints:
            delivery_id = delivery_id_of(mail.id, endpoint.id, run)
            owed = WebhookDelivery(
                id=delivery_id,
                run=run,
                mail_id=mail.id,
                account_id=mail.alias.account_id,
                domain_id=mail.alias.domain_id,
                alias_id=mail.alias.alias_id,
                endpoint_id=endpoint.id,
                format=endpoint.format,
                payload=await self._contents.fitted(parsed.payload, name=delivery_id),
                mail_stream=subjects.MAIL,
                mail_sequence=sequence,
                tags=parsed.tags,
                spam_score=parsed.spam_score,
                created_at=datetime.now(UTC),
                needs_raw="raw" in endpoint.include,
            )
            await self._fresh.publish(wire.encode(owed), subjects.fresh_id_of(mail.id, endpoint.id, run))
        return tuple(endpoint.id for endpoint in endpoints)

    async def _bury(self, delivery: Delivery, mail: MailObject, stage: str, reason: str) -> None:
        await self._burial.of_mail(mail, delivery.body, stage=stage, reason=reason, run="0")
        await delivery.ack()


class _Dead(Exception):
    """The mail cannot go on."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(reason)
        self.stage = stage
