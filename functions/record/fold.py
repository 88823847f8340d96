"""
What a mail and its deliveries are, given the facts known of them: a fold that no order can change.

Every column merges by a rule that commutes: the earliest, the latest run's, the highest rank, a union.
A fact is folded once (its event id says whether it is known), so counts may count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

from mailchute.delivery import delivery_id_of as derived
from mailchute.journal import Event
from mailchute.parsed import MailSummary
from mailchute.schedule import DEAD_RETENTION_S

from .rows import DeliveryRow, MailRow

SUBJECT_MAX_CHARACTERS = 998  # RFC 5322, 2.1.1: of a line; what is longer is cut in the log
MESSAGE_ID_MAX_CHARACTERS = 512  # it is indexed, and PostgreSQL indexes at most 2,704 octets
REASON_MAX_CHARACTERS = 998

_DELIVERY_RANK = {"pending": 0, "failed": 1, "rejected": 2, "dead": 3, "delivered": 4}
_VERDICT_RANK = {"dead": 0, "parsed": 1, "rejected": 2}  # in one run, that it was parsed outweighs a crash
_STATE_OF_OUTCOME = {"delivered": "delivered", "failed": "failed", "gone": "failed", "refused": "failed"}


@dataclass(slots=True)
class Ledger:
    """The mails and deliveries that a batch touches; keyed by id, deliveries also by their mail."""

    mails: dict[str, MailRow] = field(default_factory=dict)
    deliveries: dict[str, dict[str, DeliveryRow]] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)  # ids of deliveries that a fact was folded into
    dead_retention_s: float = DEAD_RETENTION_S

    def add(self, delivery: DeliveryRow) -> None:
        self.deliveries.setdefault(delivery.mail_id, {})[delivery.id] = delivery

    def fold(self, events: Iterable[Event]) -> None:
        """Fold facts that were not folded before, in whatever order they come."""
        seen = set()
        for event in events:
            mail = self._mail(event)
            if mail.erased_at is not None:
                continue  # a fact that comes late must not bring back what its owner had erased
            seen.add(event.mail_id)
            _merge_facts(mail, event)
            match event.kind:
                case "accepted":
                    mail.accepted_at = event.at
                case "duplicate":
                    mail.duplicate_count += 1
                case "parsed":
                    _merge_verdict(mail, event)
                    for endpoint_id in event.endpoint_ids:
                        self._delivery(event, endpoint_id)
                case "rejected" if event.endpoint_id is None:
                    _merge_verdict(mail, event)
                case "dead" if event.endpoint_id is None:  # before any delivery was made of it
                    _merge_verdict(mail, event)
                case "attempted" | "delivered" | "rejected" | "dead" if event.endpoint_id is not None:
                    _merge_delivery(self._delivery(event, event.endpoint_id), event)
        for mail_id in seen:
            mail = self.mails[mail_id]
            mail.state, mail.ended_at = _state_of(mail, self.deliveries.get(mail_id, {}).values())
            mail.expires_at = _expires_at(mail, self.dead_retention_s)

    def _mail(self, event: Event) -> MailRow:
        mail = self.mails.get(event.mail_id)
        if mail is None:
            mail = self.mails[event.mail_id] = MailRow(
                event.mail_id, event.account_id, event.domain_id, event.alias_id, event.at
            )
        elif event.at < mail.first_at:
            mail.first_at = event.at
        return mail

    def _delivery(self, event: Event, endpoint_id: str) -> DeliveryRow:
        identifier = delivery_id_of(event.mail_id, endpoint_id, event.run)
        delivery = self.deliveries.get(event.mail_id, {}).get(identifier)
        if delivery is None:
            delivery = DeliveryRow(
                identifier, event.mail_id, event.run, event.account_id, endpoint_id, event.at
            )
            self.add(delivery)
        elif event.at < delivery.created_at:
            delivery.created_at = event.at
        self.touched.add(identifier)
        return delivery


@lru_cache(maxsize=4096)
def delivery_id_of(mail_id: str, endpoint_id: str, run: str) -> str:
    """Return the delivery's id, derived once for its several facts."""
    return derived(mail_id, endpoint_id, run)


def cut(text: str, characters: int) -> str:
    """Return the text as a database column takes it: without NUL, and no longer than this."""
    return text[:characters].replace("\x00", "\ufffd")


def _merge_facts(mail: MailRow, event: Event) -> None:
    """Merge what an event of any kind may carry."""
    if event.summary is not None:
        _merge_summary(mail, event, event.summary)
    if event.objects:
        mail.objects = sorted({*mail.objects, *event.objects})
    if event.mail_sequence is not None:
        mail.mail_sequence = max(event.mail_sequence, mail.mail_sequence or 0)
    if event.retention_s is not None:
        mail.retention_s = max(event.retention_s, mail.retention_s or 0)


def _merge_summary(mail: MailRow, event: Event, summary: MailSummary) -> None:
    # What was parsed outweighs what only the envelope told; a later run outweighs an earlier.
    key = "" if event.kind == "accepted" else f"{event.run}/{_VERDICT_RANK.get(event.kind, 0)}"
    if mail.summary_key is not None and mail.summary_key > key:
        return
    mail.summary_key = key
    mail.message_id = summary.message_id and cut(summary.message_id, MESSAGE_ID_MAX_CHARACTERS)
    mail.recipient = cut(summary.recipient, SUBJECT_MAX_CHARACTERS)
    mail.subject = cut(summary.subject, SUBJECT_MAX_CHARACTERS)
    mail.size_octets = summary.size_octets
    mail.attachments = [
        {
            "filename": cut(one.filename, SUBJECT_MAX_CHARACTERS),
            "content_type": cut(one.content_type, SUBJECT_MAX_CHARACTERS),
            "size_octets": one.size_octets,
        }
        for one in summary.attachments
    ]
    mail.spam_score = summary.spam_score
    mail.is_spam = summary.is_spam


def _merge_verdict(mail: MailRow, event: Event) -> None:
    if mail.verdict is not None and mail.verdict_run is not None:
        known = (mail.verdict_run, _VERDICT_RANK[mail.verdict])
        if known > (event.run, _VERDICT_RANK[event.kind]):
            return
    mail.verdict, mail.verdict_run, mail.verdict_at = event.kind, event.run, event.at
    mail.reason = cut(event.reason, REASON_MAX_CHARACTERS) if event.reason else None
    mail.stage = event.stage


def _merge_delivery(delivery: DeliveryRow, event: Event) -> None:
    if event.kind == "attempted":
        _merge_attempt(delivery, event)
        return
    if event.kind == "dead":
        delivery.dead_reason = cut(event.reason or "", REASON_MAX_CHARACTERS)
    _raise(delivery, event.kind, event.at)


def _merge_attempt(delivery: DeliveryRow, event: Event) -> None:
    delivery.attempt_count += 1
    outcome, number = event.outcome, event.attempt or 0
    if outcome is None:
        return
    if number >= delivery.last_attempt:
        delivery.last_attempt = number
        delivery.last_status = outcome.status
        delivery.last_reason = cut(outcome.reason, REASON_MAX_CHARACTERS)
    _raise(delivery, _STATE_OF_OUTCOME[outcome.result], event.at)


def _raise(delivery: DeliveryRow, state: str, at: datetime) -> None:
    """Move the delivery on to `state` unless it is further already."""
    if _DELIVERY_RANK[state] < _DELIVERY_RANK[delivery.state]:
        return
    if state in ("delivered", "rejected", "dead"):
        same = delivery.state == state and delivery.ended_at is not None
        delivery.ended_at = min(delivery.ended_at, at) if same and delivery.ended_at else at
    delivery.state = state


def _state_of(mail: MailRow, deliveries: Iterable[DeliveryRow]) -> tuple[str, datetime | None]:
    """Return the mail's state, and since when nothing more is owed (None while something is)."""
    if mail.verdict in ("rejected", "dead"):
        return mail.verdict, mail.verdict_at
    newest: dict[str, DeliveryRow] = {}  # a replay's delivery replaces what it repeats
    for one in deliveries:
        known = newest.get(one.endpoint_id)
        if known is None or one.run > known.run:  # "0" < "run_…", which sort by time
            newest[one.endpoint_id] = one
    states = {one.state for one in newest.values()}
    if not states:
        return "pending", None
    for state in ("pending", "failed", "dead", "rejected"):
        if state in states:
            break
    else:
        state = "delivered"
    if state in ("pending", "failed"):
        return state, None
    return state, max(one.ended_at for one in newest.values() if one.ended_at is not None)


def _expires_at(mail: MailRow, dead_retention_s: float) -> datetime | None:
    """Return when the mail's retention ends; a replay that reopens it puts that off."""
    # Of a mail that nobody told us was accepted, only echoes are known: a resend, or what comes after
    # its retention ended. Its window is not known either, so it is kept as long as any.
    if mail.retention_s is None:
        return (mail.ended_at or mail.first_at) + timedelta(seconds=dead_retention_s)
    if mail.ended_at is None:
        return None
    window_s = dead_retention_s if mail.state == "dead" else mail.retention_s
    return mail.ended_at + timedelta(seconds=window_s)
