"""One attempt: a delivery with everything it refers to goes to deliver, and an outcome comes back."""

from __future__ import annotations

from datetime import datetime

import msgspec
from mailchute import wire
from mailchute.alias import RAW_FORMATS
from mailchute.delivery import AttemptOutcome, AttemptRequest, WebhookDelivery
from mailchute.errors import ContentMissing
from mailchute.jetstream import Publisher
from mailchute.mail import MailObject
from mailchute.schedule import attempt_number_of, next_attempt_in_s
from mailchute.stored import read_stored

from connector.answer import value_of
from connector.content import Contents
from connector.function import Function


class Attempts:
    """Makes attempts."""

    def __init__(self, publisher: Publisher, contents: Contents, deliver: Function) -> None:
        self._publisher = publisher
        self._contents = contents
        self._deliver = deliver

    async def make(self, owed: WebhookDelivery) -> AttemptOutcome:
        """
        Return what the endpoint did.

        Raises:
            TransientError: There is no outcome; the attempt does not count.
            PermanentError: There never will be: what the delivery refers to is gone, or deliver refuses it.
        """
        async with self._contents.resolved(owed.payload) as payload:
            # The payload rides beside the delivery, not in it a second time.
            request = AttemptRequest(delivery=msgspec.structs.replace(owed, payload=b""), payload=payload)
            if owed.format not in RAW_FORMATS and not owed.needs_raw:
                return await self._call(request)
            mail = await self._mail_of(owed)
            async with self._contents.resolved(mail.content) as content:
                return await self._call(
                    msgspec.structs.replace(request, raw=content, raw_trace_octets=mail.trace_octets)
                )

    async def _call(self, request: AttemptRequest) -> AttemptOutcome:
        answer = await self._deliver.call(wire.encode(request))
        return value_of(answer, AttemptOutcome, stage="deliver")

    async def _mail_of(self, owed: WebhookDelivery) -> MailObject:
        stored = await read_stored(self._publisher.client, owed.mail_stream, sequence=owed.mail_sequence)
        if stored is None:
            raise ContentMissing(f"the mail of {owed.id} is gone, and its endpoint is to have it as received")
        return wire.decode(stored.body, MailObject)


def schedule_begins_at(owed: WebhookDelivery, outcome: AttemptOutcome) -> datetime:
    """Return when the first attempt was made: the one that this came of, where none was noted before."""
    return owed.first_attempt_at or outcome.started_at


def is_last_at(owed: WebhookDelivery, at: datetime, gaps_s: tuple[float, ...]) -> bool:
    """
    Return whether an attempt made at this time is the last.

    Of a delivery that waited untried, for its endpoint was in trouble already, the schedule's length is
    counted from its making: else a long backlog before a dead endpoint would never come to an end.
    """
    age_s = (at - (owed.first_attempt_at or owed.created_at)).total_seconds()
    return attempt_number_of(owed.id, age_s=age_s, gaps_s=gaps_s) == len(gaps_s)


def due_in_s(
    owed: WebhookDelivery, outcome: AttemptOutcome, now: datetime, gaps_s: tuple[float, ...]
) -> float | None:
    """Return when the attempt after this failed one is due, in seconds from `now`; None: never."""
    return next_attempt_in_s(
        owed.id,
        first_attempt_at=schedule_begins_at(owed, outcome),
        attempted_at=outcome.started_at,
        now=now,
        retry_after_s=outcome.retry_after_s,
        gaps_s=gaps_s,
    )
