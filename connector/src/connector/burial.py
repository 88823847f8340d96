"""Putting what cannot go on where it can be replayed from: DEAD, and only then is it acknowledged."""

from __future__ import annotations

from datetime import UTC, datetime

from mailchute import subjects, wire
from mailchute.dead import DeadRecord
from mailchute.delivery import WebhookDelivery
from mailchute.eventlog import event_log
from mailchute.jetstream import Publisher
from mailchute.journal import Event
from mailchute.mail import MailObject

from connector.content import Contents
from connector.delivery import Delivery, InHand
from connector.journal import Journal
from connector.told import delivery_dead, mail_dead

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
        await self._journal.tell(mail_dead(mail, run, at, stage=stage, reason=reason))

    async def of_delivery(
        self,
        owed: WebhookDelivery,
        delivery: Delivery | InHand,
        *,
        reason: str,
        events: tuple[Event, ...] = (),
    ) -> None:
        """
        Args:
            events: What else is told in the same breath, such as the last attempt.

        Raises: StreamUnavailable, when DEAD does not take it.
        """
        at = datetime.now(UTC)
        await self._publish(
            subjects.dead_id_of(owed.mail_id, "deliver", owed.run, owed.endpoint_id),
            stage="deliver",
            reason=reason,
            mail_id=owed.mail_id,
            run=owed.run,
            endpoint_id=owed.endpoint_id,
            at=at,
            subject=delivery.subject,
            record=delivery.body,
        )
        await self._journal.tell(*events, delivery_dead(owed, at, reason=reason))

    async def of_unreadable(self, delivery: Delivery, *, stage: str, reason: str) -> None:
        """A record that cannot be worked on as such. Raises: StreamUnavailable."""
        await self._publish(
            f"{delivery.subject}.{delivery.sequence}",
            stage=stage,
            reason=reason,
            mail_id="",
            run="0",
            endpoint_id=None,
            at=datetime.now(UTC),
            subject=delivery.subject,
            record=delivery.body,
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
