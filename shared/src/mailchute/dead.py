"""What could not go on, as it was, and why; a replay takes it up again."""

from __future__ import annotations

from datetime import datetime

import msgspec

from mailchute.mail import ContentRef


class DeadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One record on dead.<stage>."""

    version: int = 1
    stage: str  # scan, parse, deliver, record
    reason: str  # "exhausted", "backlog-full", "endpoint-gone", "refused: …"
    mail_id: str  # "" when the record could not be decoded
    run: str
    endpoint_id: str | None  # deliver only
    at: datetime
    subject: str  # the subject it came from
    record: bytes | ContentRef  # the record itself, as it lay there
