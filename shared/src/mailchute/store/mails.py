"""Mails, deliveries and attempts as they are listed: newest first, a page at a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from mailchute.tables import attempt, delivery, email

STATES = ("pending", "delivered", "failed", "rejected", "dead")
PAGE_MAX_COUNT = 200
ERASED_KEPT = timedelta(days=30)  # its ids: longer than the retry schedule tells late facts

Page = TypeVar("Page", bound=msgspec.Struct)


class AttachmentView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the log keeps of an attachment."""

    filename: str
    content_type: str
    size_octets: int


class MailView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A mail as its account sees it: no body, no sender (product text 3)."""

    id: str
    state: str
    domain_id: str
    alias_id: str
    recipient: str | None
    subject: str | None
    message_id: str | None
    size_octets: int | None
    attachments: tuple[AttachmentView, ...]
    spam_score: float | None
    is_spam: bool | None
    accepted_at: datetime | None
    ended_at: datetime | None  # None: something is still owed
    duplicate_count: int
    reason: str | None  # the rule that rejected it, or why it is dead
    stage: str | None
    mail_sequence: int | None
    held_at: datetime | None = None  # an investigation is open: it is not removed by age


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One mail owed to one endpoint."""

    id: str
    mail_id: str
    endpoint_id: str
    run: str  # "0", or the replay that made it
    state: str
    created_at: datetime
    ended_at: datetime | None
    attempt_count: int
    last_status: int | None
    last_reason: str | None
    dead_reason: str | None


class AttemptView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One POST and what came of it."""

    delivery_id: str
    endpoint_id: str
    run: str
    number: int
    result: str
    status: int | None
    reason: str
    started_at: datetime
    duration_s: float
    retry_after_s: float | None
    response: str


def list_mails(
    connection: sa.Connection,
    account_id: str,
    *,
    state: str | None = None,
    alias_id: str | None = None,
    message_id: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> list[MailView]:
    """
    Return a page of the account's mails, newest first.

    Args:
        message_id: The msg-id with its brackets.
        before: The id after which the page begins: the last of the page before.
    """
    query = _of(MailView, email).where(email.c.account_id == account_id, email.c.erased_at.is_(None))
    for column, value in (
        (email.c.state, state),
        (email.c.alias_id, alias_id),
        (email.c.message_id, message_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(email.c.id < before)
    return _mails(connection, query.order_by(email.c.id.desc()).limit(limit))


def mail_of(connection: sa.Connection, account_id: str, mail_id: str) -> MailView | None:
    """Return the account's mail of this id."""
    query = _of(MailView, email).where(
        email.c.id == mail_id, email.c.account_id == account_id, email.c.erased_at.is_(None)
    )
    return next(iter(_mails(connection, query)), None)


def objects_of(connection: sa.Connection, account_id: str, mail_id: str) -> tuple[str, ...]:
    """Return the keys of the mail's attachments on S3."""
    found = connection.scalar(
        sa.select(email.c.objects).where(email.c.id == mail_id, email.c.account_id == account_id)
    )
    return tuple(found or ())


def erase(connection: sa.Connection, account_id: str, mail_id: str, now: datetime) -> None:
    """Keep nothing of the account's mail but its ids, so that late facts do not bring it back."""
    ours = sa.select(email.c.id).where(email.c.id == mail_id, email.c.account_id == account_id)
    for table in (attempt, delivery):
        connection.execute(sa.delete(table).where(table.c.mail_id.in_(ours)))
    forgotten: dict[str, Any] = dict.fromkeys(
        (
            "message_id",
            "recipient",
            "subject",
            "size_octets",
            "attachments",
            "spam_score",
            "is_spam",
            "reason",
        )
    )
    connection.execute(
        sa.update(email)
        .where(email.c.id == mail_id, email.c.account_id == account_id)
        .values(
            {
                **forgotten,
                "attachments": sa.null(),
                "objects": [],
                "erased_at": now,
                "expires_at": now + ERASED_KEPT,
            }
        )
    )


def list_deliveries(
    connection: sa.Connection,
    account_id: str,
    *,
    mail_id: str | None = None,
    endpoint_id: str | None = None,
    state: str | None = None,
    before: tuple[str, str] | None = None,
    limit: int = 50,
) -> list[DeliveryView]:
    """
    Return a page of the account's deliveries, those of the newest mails first.

    Args:
        before: Mail id and id of the last delivery of the page before.
    """
    query = _of(DeliveryView, delivery).where(delivery.c.account_id == account_id)
    for column, value in (
        (delivery.c.mail_id, mail_id),
        (delivery.c.endpoint_id, endpoint_id),
        (delivery.c.state, state),
    ):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(sa.tuple_(delivery.c.mail_id, delivery.c.id) < before)
    ordered = query.order_by(delivery.c.mail_id.desc(), delivery.c.id.desc()).limit(limit)
    return _views(DeliveryView, connection, ordered)


def delivery_of(connection: sa.Connection, account_id: str, delivery_id: str) -> DeliveryView | None:
    """Return the account's delivery of this id."""
    query = _of(DeliveryView, delivery).where(
        delivery.c.id == delivery_id, delivery.c.account_id == account_id
    )
    return next(iter(_views(DeliveryView, connection, query)), None)


def attempts_of(connection: sa.Connection, account_id: str, mail_id: str) -> list[AttemptView]:
    """Return every attempt made for this mail, in the order of their beginnings."""
    query = (
        sa.select(
            *(attempt.c[name] for name in AttemptView.__struct_fields__ if name in attempt.c),
            delivery.c.endpoint_id,
            delivery.c.run,
        )
        .join(delivery, delivery.c.id == attempt.c.delivery_id)
        .where(attempt.c.mail_id == mail_id, delivery.c.account_id == account_id)
        .order_by(attempt.c.started_at, attempt.c.number, delivery.c.run, delivery.c.endpoint_id)
    )
    return _views(AttemptView, connection, query)


def _mails(connection: sa.Connection, query: sa.Select[Any]) -> list[MailView]:
    return [
        MailView(
            **{**row._mapping, "attachments": tuple(AttachmentView(**one) for one in row.attachments or ())}
        )
        for row in connection.execute(query)
    ]


def _of(view: type[msgspec.Struct], table: sa.Table) -> sa.Select[Any]:
    return sa.select(*(table.c[name] for name in view.__struct_fields__))


def _views(view: type[Page], connection: sa.Connection, query: sa.Select[Any]) -> list[Page]:
    return [view(**row._mapping) for row in connection.execute(query)]
