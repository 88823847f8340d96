"""Putting what cannot go on where it can be replayed from: DEAD, and only then is it acknowledged."""

from __future__ import annotations

from datetime import UTC, datetime

from mailchute import subjects, wire
from mailchute.dead import DeadRecord
from mailchute.delivery import WebhookDelivery
from mailchute.eventlog import event_log
from mailchute.jetstream import Publisher
from mailchute.journal import Event, event_id_of
from mailchute.mail import MailObject

from connector.content import Contents
from connector.journal import Journal

log = event_log("connector")


class Burial:
    """Publishes dead records and journals them."""

    def __init__(self, publisher: Publisher, contents: Contents, journal: Journal) -> None:
        self._publisher = publisher
        self._contents = contents
        self._journal = journal

    async def of_mail(self, mail: MailObject, record: bytes, *, stage: str, reason: str, run: str) -> None:
        """Raises: StreamUnavailable, when DEAD does not take it."""
        at = datetime.now(UTC)
        await self._publish(
            subjects.dead_id_of(mail.id, stage, run),
            stage=stage,
            reason=reason,
            mail_id=mail.id,
            run=run,
            endpoint_id=None,
            at=at,
            subject=subjects.MAIL_ACCEPTED,
            record=record,
        )
        await self._journal.tell(
            Event(
                id=event_id_of("dead", mail.id, run=run),
                kind="dead",
                at=at,
                mail_id=mail.id,
                run=run,
                account_id=mail.alias.account_id,
                domain_id=mail.alias.domain_id,
                alias_id=mail.alias.alias_id,
                stage=stage,
                reason=reason,
            )
        )

    async def of_delivery(
        self,
        delivery: WebhookDelivery,
        record: bytes,
        *,
        reason: str,
        subject: str,
        events: tuple[Event, ...] = (),
    ) -> None:
        """
        Args:
            events: What else is told in the same breath, such as the last attempt.

        Raises: StreamUnavailable, when DEAD does not take it.
        """
        at = datetime.now(UTC)
        await self._publish(
            subjects.dead_id_of(delivery.mail_id, "deliver", delivery.run, delivery.endpoint_id),
            stage="deliver",
            reason=reason,
            mail_id=delivery.mail_id,
            run=delivery.run,
            endpoint_id=delivery.endpoint_id,
            at=at,
            subject=subject,
            record=record,
        )
        await self._journal.tell(
            *events,
            Event(
                id=event_id_of("dead", delivery.mail_id, run=delivery.run, endpoint_id=delivery.endpoint_id),
                kind="dead",
                at=at,
                mail_id=delivery.mail_id,
                run=delivery.run,
                account_id=delivery.account_id,
                domain_id=delivery.domain_id,
                alias_id=delivery.alias_id,
                endpoint_id=delivery.endpoint_id,
                delivery_id=delivery.id,
                stage="deliver",
                reason=reason,
            ),
        )

    async def of_unreadable(
        self, record: bytes, *, stage: str, stream: str, sequence: int, reason: str
    ) -> None:
        """A record that is no record of ours. Raises: StreamUnavailable."""
        await self._publish(
            f"{stream}.{sequence}.{stage}",
            stage=stage,
            reason=reason,
            mail_id="",
            run="0",
            endpoint_id=None,
            at=datetime.now(UTC),
            subject=stream,
            record=record,
        )

    async def _publish(
        self,
        message_id: str,
        *,
        stage: str,
        reason: str,
        mail_id: str,
        run: str,
        endpoint_id: str | None,
        at: datetime,
        subject: str,
        record: bytes,
    ) -> None:
        dead = DeadRecord(
            stage=stage,
            reason=reason,
            mail_id=mail_id,
            run=run,
            endpoint_id=endpoint_id,
            at=at,
            subject=subject,
            record=await self._contents.fitted(record, name=f"dead.{message_id}"),
        )
        await self._publisher.publish(
            subjects.dead_subject_of(stage), wire.encode(dead), stream=subjects.DEAD, message_id=message_id
        )
        log.warning("dead", mail_id=mail_id, stage=stage, endpoint_id=endpoint_id, reason=reason)
