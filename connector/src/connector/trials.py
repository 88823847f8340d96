"""One POST that no mail asked for: a sample, so that its owner sees it work, or a challenge to be echoed."""

from __future__ import annotations

from datetime import UTC, datetime

from mailchute import subjects, wire
from mailchute.commands import Command
from mailchute.delivery import AttemptOutcome, AttemptRequest, WebhookDelivery, delivery_id_of
from mailchute.errors import PermanentError
from mailchute.mail import MailObject

from connector.answer import value_of
from connector.function import Function
from connector.reading import Reading, Unreadable

NO_MAIL = b"{}"


class Untriable(PermanentError):
    """The command lacks what its kind needs, or the sample cannot be read."""


class Trials:
    """Makes them by the same functions as a mail's, and leaves no trace: no stream, no lane, no journal."""

    def __init__(self, reading: Reading, deliver: Function) -> None:
        self._reading = reading
        self._deliver = deliver

    async def make(self, command: Command) -> AttemptOutcome:
        """
        Return what the endpoint did.

        Raises:
            Untriable: As its name says.
            TransientError: A function is away; ask again.
        """
        if not command.endpoint_id or (command.mail is None) == (command.challenge is None):
            raise Untriable(f"{command.kind} needs an endpoint_id, and a mail or a challenge")
        request = await self._request(command, command.endpoint_id)
        return value_of(await self._deliver.call(wire.encode(request)), AttemptOutcome, stage="deliver")

    async def _request(self, command: Command, endpoint_id: str) -> AttemptRequest:
        mail = command.mail
        if mail is None:
            owed = _owed(command.id, command, endpoint_id)
            return AttemptRequest(delivery=owed, payload=NO_MAIL, challenge=command.challenge)
        try:
            parsed = await self._reading.read(mail, wire.encode(mail))
        except Unreadable as error:
            raise Untriable(f"the sample cannot be read: {error}") from error
        content = mail.content if isinstance(mail.content, bytes) else b""
        return AttemptRequest(
            delivery=_owed(mail.id, command, endpoint_id, mail),
            payload=parsed.payload,
            raw=content,
            raw_trace_octets=mail.trace_octets,
        )


def _owed(
    mail_id: str, command: Command, endpoint_id: str, mail: MailObject | None = None
) -> WebhookDelivery:
    """Return the delivery as which it rides; a challenge names its endpoint only."""
    return WebhookDelivery(
        id=delivery_id_of(mail_id, endpoint_id, command.id),
        run=command.id,
        mail_id=mail_id,
        account_id=mail.alias.account_id if mail else "",
        domain_id=mail.alias.domain_id if mail else "",
        alias_id=mail.alias.alias_id if mail else "",
        endpoint_id=endpoint_id,
        format=mail.alias.endpoints[0].format if mail and mail.alias.endpoints else "native",
        payload=NO_MAIL,  # it rides beside
        mail_stream=subjects.MAIL,
        mail_sequence=0,
        created_at=datetime.now(UTC),
    )
