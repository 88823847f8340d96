"""
The payload, version 1: the JSON that an endpoint receives for one mail.

Within a version changes are additive only: a receiver ignores what it does not know.
A field that a mail has nothing for is null; a section it has nothing for is absent.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from mailchute.envelope import Tls
from mailchute.verdicts import Auth, Security, Spam


class EnvelopeFacts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The SMTP envelope and session."""

    mail_from: str  # "" is the null reverse-path
    rcpt_to: str
    helo: str
    client_ip: str
    ptr: str | None  # the client's name, when its PTR is forward-confirmed
    tls: Tls | None


class Mailbox(msgspec.Struct, frozen=True, kw_only=True):
    """One address of a header field."""

    name: str | None
    email: str


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """The forward-path this payload is about."""

    name: str | None
    email: str
    tag: str | None  # what stood after the plus sign
    captures: tuple[str, ...] | UnsetType = UNSET  # what the alias pattern's groups stood for; none: left out


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One link, in reading order, each URL once."""

    url: str
    text: str  # "" when it stood bare
    domain: str
    mismatch: bool = False  # the text names another domain than the URL goes to


class BodyPart(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How one text part was read."""

    content_type: str
    charset_declared: str | None
    charset_used: str


class Content(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The body in three forms, and what it links to."""

    text: str  # made from the HTML when the mail has no text part
    html: str | None
    markdown: str
    links: tuple[Link, ...] = ()
    parts: tuple[BodyPart, ...] = ()
    html_safe: str | UnsetType = UNSET  # sanitised; only where an endpoint includes it
    html_clean: str | UnsetType = UNSET  # without tracking; only where an endpoint includes it


class NestedMail(msgspec.Struct, frozen=True, kw_only=True):
    """What an attached mail (message/rfc822) says at a glance."""

    subject: str
    sender: Mailbox | None
    text: str


class Attachment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One attachment: inline as base64, or at a URL."""

    filename: str
    content_type: str  # as declared
    detected_type: str | None  # by its first octets; None when they tell nothing
    size: int  # octets after decoding
    sha256: str
    content_id: str | None  # without the brackets
    disposition: Literal["attachment", "inline"]
    content: bytes | UnsetType = UNSET  # base64 in JSON
    url: str | UnsetType = UNSET
    expires_at: datetime | UnsetType = UNSET  # when the URL ends
    status: Literal["completed", "excluded"] = "completed"
    exclude_reason: Literal["no-storage", "virus-detected", "dropped-by-rule", "body-limit"] | UnsetType = (
        UNSET
    )
    message: NestedMail | UnsetType = UNSET


class HeaderField(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One header field as a pair [name, value], in the order of the mail."""

    name: str
    value: str


class Hop(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={"from_": "from", "with_": "with", "for_": "for", "delay_s": "delayS"},
):
    """One Received field (RFC 5321, 4.4); what it does not say is null."""

    from_: str | None
    by: str | None
    with_: str | None
    id: str | None
    for_: str | None
    date: str | None  # ISO 8601, UTC
    delay_s: float | None  # since the hop before


class Message(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The mail itself, parsed."""

    message_id: str | None  # with its brackets, as RFC 5322 has it
    date: datetime | None
    subject: str
    sender: Mailbox | None  # RFC5322.From when there is exactly one
    recipient: Recipient
    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    reply_to: tuple[Mailbox, ...] = ()
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    content: Content
    attachments: tuple[Attachment, ...] = ()
    headers: tuple[HeaderField, ...] = ()
    defects: tuple[str, ...] | UnsetType = UNSET  # what is wrong with its structure; absent when nothing is
    received: tuple[Hop, ...] | UnsetType = UNSET  # oldest first; only where an endpoint includes it


class Integrity(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Hashes to recognise a mail by."""

    raw_hash: str  # "sha256:…" of the octets after DATA as received
    content_hash: str  # "sha256:…" of what was read: subject, bodies, attachments


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The text split into what was written now, what is quoted, and the signature."""

    text: str
    quoted: str
    signature: str


class Thread(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which conversation it belongs to."""

    key: str  # the root msg-id of References, else In-Reply-To, else its own
    in_reply_to: str | None


class Attendee(msgspec.Struct, frozen=True, kw_only=True):
    """Who is invited, and what they answered."""

    email: str
    partstat: str | None


class CalendarEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a text/calendar part (RFC 5545, RFC 5546)."""

    method: str | None
    uid: str | None
    sequence: int
    start: str | None  # ISO 8601; a date when it lasts all day
    end: str | None
    organizer: str | None
    attendees: tuple[Attendee, ...] = ()
    summary: str | None = None


class BouncedRecipient(msgspec.Struct, frozen=True, kw_only=True):
    """One recipient of a DSN (RFC 3464)."""

    address: str
    action: str | None
    status: str | None
    diagnostic: str | None
    type: Literal["hard", "soft"]
    reason: str


class OriginalMail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The mail a DSN is about."""

    message_id: str | None
    subject: str | None


class Bounce(msgspec.Struct, frozen=True, kw_only=True):
    """A DSN with action failed or delayed."""

    recipients: tuple[BouncedRecipient, ...]
    original: OriginalMail


class Payload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One mail as an endpoint receives it."""

    version: str = "1"
    id: str  # msg_…: the receiver's idempotency key, the same over all attempts
    event: Literal["email.received"] = "email.received"
    received_at: datetime
    domain_id: str
    alias_id: str
    tags: tuple[str, ...] = ()
    envelope: EnvelopeFacts
    message: Message
    auth: Auth
    spam: Spam | None
    security: Security
    integrity: Integrity
    reply: Reply | UnsetType = UNSET
    thread: Thread | UnsetType = UNSET
    calendar: tuple[CalendarEvent, ...] | UnsetType = UNSET
    bounce: Bounce | UnsetType = UNSET
    report: dict[str, Any] | UnsetType = UNSET  # {"kind": "complaint" | "auto-reply" | …, …}
    raw: bytes | UnsetType = UNSET  # the mail as received, base64 in JSON; only where an endpoint includes it
