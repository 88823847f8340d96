"""What a plan leaves an account: mails in a month, octets in a mail."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

WARNED_SHARE = 0.8  # of the month's mails: its owner is told


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """An account's use of its plan, as it was read."""

    month: str  # month_of(the moment it was read)
    mail_count: int = 0  # accepted in it, as far as the journal has come
    mails_per_month: int | None = None  # None: no limit
    size_max_octets: int | None = None  # of one mail; None: no limit but the installation's

    def is_used_up(self, month: str) -> bool:
        """Whether no mail is left in this month; a count of another month says nothing about it."""
        return self.mails_per_month is not None and (
            month == self.month and self.mail_count >= self.mails_per_month
        )


def month_of(at: datetime) -> str:
    """Return the calendar month in UTC, "2026-11"; months sort as texts."""
    return at.astimezone(UTC).strftime("%Y-%m")
