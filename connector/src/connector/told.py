"""What the journal is told: one event for each fact about a mail or a delivery."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from mailchute.delivery import AttemptOutcome, WebhookDelivery, delivery_id_of
from mailchute.journal import Event, Kind, event_id_of
from mailchute.mail import MailObject
from mailchute.parsed import MailSummary, ParseAnswer
from mailchute.schedule import attempt_number_of

from connector.attempt import schedule_begins_at

NOWHERE = 0  # as mail_sequence: mode through keeps no copy on MAIL


def accepted(mail: MailObject, sequence: int) -> Event:
    summary = MailSummary(
        message_id=None,
        recipient=str(mail.envelope.forward_path),
        subject="",
        size_octets=mail.size_octets,
    )
    return _mail_event(
        mail,
        "accepted",
        "0",
        mail.received_at,
        mail_sequence=sequence,
        retention_s=mail.alias.retention_s,
        summary=summary,
    )


def carried_on(mail: MailObject, parsed: ParseAnswer, run: str, endpoint_ids: tuple[str, ...]) -> Event:
    is_owed = parsed.decision == "deliver"
    # One run may replay a mail to several of its endpoints, one by one: a fact each.
    is_to_one = run != "0" and len(endpoint_ids) == 1
    return _mail_event(
        mail,
        "parsed" if is_owed else "rejected",
        run,
        datetime.now(UTC),
        to=endpoint_ids[0] if is_to_one else "",
        endpoint_ids=endpoint_ids,
        summary=parsed.summary,
        objects=parsed.objects,
        reason=None if is_owed else parsed.rule,
    )


def _mail_event(
    mail: MailObject, kind: Kind, run: str, at: datetime, *, to: str = "", **more: object
) -> Event:
    return Event(
        id=event_id_of(kind, mail.id, run=run, endpoint_id=to),
        kind=kind,
        at=at,
        mail_id=mail.id,
        run=run,
        account_id=mail.alias.account_id,
        domain_id=mail.alias.domain_id,
        alias_id=mail.alias.alias_id,
        **more,  # type: ignore[arg-type]
    )


def attempted(owed: WebhookDelivery, outcome: AttemptOutcome, gaps_s: tuple[float, ...]) -> tuple[Event, ...]:
    """Return what is told of an attempt: that it was made, and, if so, that it delivered."""
    age_s = (outcome.started_at - schedule_begins_at(owed, outcome)).total_seconds()
    # By age, like the schedule: attempts made by hand or after a crash count as the one they follow.
    attempt = attempt_number_of(owed.id, age_s=age_s, gaps_s=gaps_s)
    stamp = int(outcome.started_at.timestamp() * 1_000)
    made = _owed_event(
        owed,
        "attempted",
        event_id_of("attempted", owed.mail_id, run=owed.run, endpoint_id=owed.endpoint_id, attempt=stamp),
        outcome.started_at,
        attempt=attempt,
        outcome=outcome,
    )
    if outcome.result != "delivered":
        return (made,)
    done = _owed_event(
        owed,
        "delivered",
        event_id_of("delivered", owed.mail_id, run=owed.run, endpoint_id=owed.endpoint_id),
        datetime.now(UTC),
    )
    return made, done


def mail_dead(mail: MailObject, run: str, at: datetime, *, stage: str, reason: str) -> Event:
    """The mail could not go on before it was owed to anyone."""
    return _mail_event(mail, "dead", run, at, stage=stage, reason=reason)


def delivery_dead(owed: WebhookDelivery, at: datetime, *, reason: str) -> Event:
    """The delivery could not go on."""
    event_id = event_id_of("dead", owed.mail_id, run=owed.run, endpoint_id=owed.endpoint_id)
    return _owed_event(owed, "dead", event_id, at, stage="deliver", reason=reason)


def _owed_event(owed: WebhookDelivery, kind: Kind, event_id: str, at: datetime, **more: object) -> Event:
    return Event(
        id=event_id,
        kind=kind,
        at=at,
        mail_id=owed.mail_id,
        run=owed.run,
        account_id=owed.account_id,
        domain_id=owed.domain_id,
        alias_id=owed.alias_id,
        endpoint_id=owed.endpoint_id,
        delivery_id=owed.id,
        **more,  # type: ignore[arg-type]
    )


def blocked(mail: MailObject, parsed: ParseAnswer) -> Event:
    """Mode through: a rule blocked it, and its sender was told so."""
    event = carried_on(mail, parsed, "0", ())
    return msgspec.structs.replace(event, mail_sequence=NOWHERE, retention_s=mail.alias.retention_s)


def passed(
    mail: MailObject,
    parsed: ParseAnswer,
    owed: WebhookDelivery,
    outcome: AttemptOutcome,
    number: int,
    *,
    is_kept: bool,
) -> tuple[Event, ...]:
    """
    Mode through: the endpoint answered 2xx, and so the sender hears 250.

    Args:
        number: Of the attempt, over all copies that the sender sent; counts from 1.
        is_kept: It lies on MAIL for the alias's other endpoints, where it is told that it was accepted.
    """
    made, done = attempted(owed, outcome, ())
    made = msgspec.structs.replace(made, attempt=number, objects=parsed.objects)
    if is_kept:
        return made, done
    return accepted(mail, NOWHERE), carried_on(mail, parsed, "0", (owed.endpoint_id,)), made, done


def tried(
    mail: MailObject,
    parsed: ParseAnswer,
    owed: WebhookDelivery,
    outcome: AttemptOutcome,
    number: int,
    *,
    is_rejected: bool,
) -> tuple[Event, ...]:
    """
    Mode through: the endpoint answered something else, and the mail stays with its sender.

    Args:
        is_rejected: The sender was told to give up.
    """
    (made,) = attempted(owed, outcome, ())
    made = msgspec.structs.replace(
        made, attempt=number, summary=parsed.summary, objects=parsed.objects, mail_sequence=NOWHERE
    )
    if not is_rejected:
        return (made,)
    event_id = event_id_of("rejected", owed.mail_id, endpoint_id=owed.endpoint_id)
    return made, _owed_event(
        owed,
        "rejected",
        event_id,
        datetime.now(UTC),
        reason=outcome.reason,
        retention_s=mail.alias.retention_s,
    )


def repeated(mail: MailObject, resend_id: str, endpoint_id: str, *, is_kept: bool) -> tuple[Event, ...]:
    """Mode through: a copy came after the 2xx. What was told then is told again, for it may be lost."""
    delivered = _mail_event(
        mail,
        "delivered",
        "0",
        datetime.now(UTC),
        endpoint_id=endpoint_id,
        delivery_id=delivery_id_of(mail.id, endpoint_id, "0"),
    )
    delivered = msgspec.structs.replace(
        delivered, id=event_id_of("delivered", mail.id, endpoint_id=endpoint_id)
    )
    again = _mail_event(mail, "duplicate", "0", datetime.now(UTC))
    again = msgspec.structs.replace(again, id=event_id_of("duplicate", mail.id, run=resend_id))
    return (delivered, again) if is_kept else (accepted(mail, NOWHERE), delivered, again)
