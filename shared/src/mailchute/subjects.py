"""Streams, subjects, durable names and message ids: every name that lives in JetStream."""

from __future__ import annotations

MAIL = "MAIL"
DELIVERY = "DELIVERY"
RETRY = "RETRY"
JOURNAL = "JOURNAL"
DEAD = "DEAD"
NOTIFY = "NOTIFY"
THROUGH = "KV_THROUGH"

MAIL_ACCEPTED = "mail.accepted"
DELIVERY_FRESH = "delivery.fresh"
RETRY_ALL = "retry.*"
JOURNAL_ALL = "journal"
DEAD_ALL = "dead.*"
NOTIFY_ALL = "notify.*"
THROUGH_MAIL = "through.mail"  # core NATS, no stream: question and answer (mailchute.through)
THROUGH_QUEUE = "connectors"  # the group of those who answer
THROUGH_CLAIMS = "$KV.THROUGH.>"  # a key-value bucket (ADR-8) by fingerprint

CONTENT_BUCKET = "content"  # Object Store: content, payloads and dead records over REF_LIMIT_OCTETS
THROUGH_BUCKET = "through"  # content over it whose client waits: gone with the answer

REF_LIMIT_OCTETS = 768 * 1024  # a record over this, or over half of max_payload, becomes a reference
RECORD_MAX_OCTETS = 32 * 1024 * 1024  # a file stream refuses more, whatever max_payload says


def retry_subject_of(endpoint_id: str) -> str:
    return f"retry.{endpoint_id}"


def lane_name_of(endpoint_id: str) -> str:
    """Return the durable name of the endpoint's retry lane."""
    return f"lane-{endpoint_id}"


def through_subject_of(connector: str) -> str:
    """Return where this one connector is asked, and shows that it lives."""
    return f"through.to.{connector}"


def claim_subject_of(fingerprint: str) -> str:
    return f"$KV.THROUGH.{fingerprint}"


def dead_subject_of(stage: str) -> str:
    return f"dead.{stage}"


def fresh_id_of(mail_id: str, endpoint_id: str, run: str) -> str:
    return f"{mail_id}.{endpoint_id}.{run}"


def retry_id_of(mail_id: str, endpoint_id: str, run: str) -> str:
    return f"{mail_id}.{endpoint_id}.{run}.retry"


def dead_id_of(mail_id: str, stage: str, run: str, endpoint_id: str | None = None) -> str:
    """Return the message id of a dead record; one per endpoint where a mail has several."""
    return ".".join(part for part in (mail_id, stage, run, endpoint_id) if part)
