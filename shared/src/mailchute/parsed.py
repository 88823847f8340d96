"""What goes into parse and what comes out of it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from mailchute.alias import Rule
from mailchute.mail import MailObject
from mailchute.verdicts import ScanReport


class ParseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A mail object, its content resolved to octets, and what scan concluded about it."""

    version: int = 1
    mail: MailObject
    report: ScanReport
    degraded: str | None = None  # why parsing is not to be tried: the mail brought it down before
    is_rehearsal: bool = False  # nothing is put on S3, and every rule says why it holds or does not


class AttachmentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What the log keeps of an attachment (product text 3)."""

    filename: str
    content_type: str
    size_octets: int


class MailSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What the log keeps of a mail (product text 3): no bodies, no sender."""

    message_id: str | None
    recipient: str
    subject: str
    size_octets: int
    attachments: tuple[AttachmentSummary, ...] = ()
    spam_score: float | None = None
    is_spam: bool | None = None


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison that made a rule true or false of a mail."""

    text: str  # as it was written
    holds: bool
    facts: dict[str, Any]  # what the mail has for the names in it; None: it has no such thing


class RuleTrace(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of an alias, asked of one mail."""

    rule: Rule
    holds: bool
    because: tuple[Decided, ...]  # empty: it could not be read


class ParseAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The payload, and what the alias's rules decided about it."""

    version: int = 1
    decision: Literal["deliver", "reject"]
    notify: bool = False  # reject only: the rule wants the sender told
    rule: str | None = None  # the condition that decided; None when none held
    payload: bytes  # mailchute.payload.Payload as JSON: the octets that are signed and sent
    tags: tuple[str, ...] = ()
    spam_score: float | None = None
    summary: MailSummary
    objects: tuple[str, ...] = ()  # keys of the attachments put on S3; they go with the mail
    endpoint_id: str | None = (
        None  # a rule routed it: owed to this endpoint alone; None: to all of the alias's
    )
    trace: tuple[RuleTrace, ...] = ()  # of a rehearsal: every rule, in order; the first that holds decided
    words: str | None = None  # notify only: what the sender is told; None: our own words
