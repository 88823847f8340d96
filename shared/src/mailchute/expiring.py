"""What the connector asks expire: which mails are due, now that these are off the streams."""

from __future__ import annotations

from datetime import datetime

import msgspec

PAGE = 256  # mails in one answer


class DueMail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail whose retention has ended."""

    mail_id: str
    mail_sequence: int | None  # where it lies on MAIL; None: not known, there is nothing to remove by it
    expires_at: datetime
    has_dead_records: bool  # some may lie on DEAD


class ExpireRequest(msgspec.Struct, frozen=True, kw_only=True):
    """expire's input."""

    version: int = 1
    erased: tuple[str, ...] = ()  # ids of due mails that no stream holds any more: their rows may go
    after: DueMail | None = None  # the last of the page before; None: the first page
    outlived: tuple[
        str, ...
    ] = ()  # may they go, though no end of theirs was told? Nothing else is asked then


class ExpireAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """expire's answer."""

    version: int = 1
    deleted_count: int  # of the erased: these are gone for good
    due: tuple[DueMail, ...]  # up to PAGE, the longest due first; empty after the last page
    oldest_due_s: float  # how long the first of them has been due; 0 when none is
    held: tuple[str, ...] = ()  # of the outlived: an investigation needs them
