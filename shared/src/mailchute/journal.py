"""What happened, told once per fact; record makes the database of it, in whatever order it comes."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from mailchute.delivery import AttemptOutcome
from mailchute.ids import derived_id
from mailchute.parsed import MailSummary

Kind = Literal[
    "accepted",  # the mail is ours: 250 was or will be answered
    "duplicate",  # a resend of a mail we have; nothing further happens with it
    "scanned",
    "parsed",  # its deliveries are published
    "rejected",  # a rule blocked it; of mode through also: the endpoint, and the sender was told
    "attempted",  # one POST was made
    "delivered",  # an attempt ended in 2xx
    "dead",  # could not go on; replayable
    "notified",
]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One fact about one mail or one delivery."""

    id: str  # event_id_of(…): told twice, it is the same event
    kind: Kind
    at: datetime
    mail_id: str
    run: str = "0"
    account_id: str
    domain_id: str
    alias_id: str
    endpoint_id: str | None = None  # parsed (see endpoint_ids), attempted, delivered, dead
    endpoint_ids: tuple[str, ...] = ()  # parsed: to whom it is owed
    delivery_id: str | None = None
    mail_sequence: int | None = None  # accepted: where it lies on MAIL; 0: nowhere (mode through)
    retention_s: int | None = None  # accepted; of mode through also rejected
    # accepted (subject unknown yet: ""), parsed, rejected; attempted of mode through
    summary: MailSummary | None = None
    attempt: int | None = None  # attempted: counts from 1
    outcome: AttemptOutcome | None = None  # attempted
    objects: tuple[str, ...] = ()  # parsed, rejected, attempted of mode through: keys on S3
    stage: str | None = None  # dead: scan, parse, deliver
    reason: str | None = None  # rejected: the rule; dead: why


class JournalBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Events that rode in one message."""

    version: int = 1
    events: tuple[Event, ...]


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """record's answer."""

    version: int = 1
    new_count: int  # events that were not known yet


def event_id_of(kind: Kind, mail_id: str, *, run: str = "0", endpoint_id: str = "", attempt: int = 0) -> str:
    """Return the id of this fact, the same whenever it is told again."""
    return derived_id("evt", kind, mail_id, run, endpoint_id, str(attempt))
