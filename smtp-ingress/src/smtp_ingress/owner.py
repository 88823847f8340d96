"""What the account that owns an alias refuses before the content comes in."""

from __future__ import annotations

from datetime import datetime

from mailchute.envelope import Path
from mailchute.quota import month_of
from mailchute.standing import Standing

from smtp_ingress.replies import (
    CLIENT_UNWANTED,
    NOT_NOW,
    OVER_QUOTA,
    SENDER_UNWANTED,
    TOO_BIG_FOR_RECIPIENT,
    Refused,
)


def check_standing(
    standing: Standing | None,
    *,
    client_ip: str,
    reverse_path: Path | None,
    declared_octets: int | None,
    now: datetime,
) -> int | None:
    """
    Return how many octets a mail for this recipient may have, where that is still to be seen; else None.

    Args:
        standing: None when nothing is known of the account: then nothing is held against the client.
        declared_octets: SIZE of MAIL; None when the client did not say.

    Raises:
        Refused: For good only by what was read now; while the database is away, a client that was on the
            list when it was last seen is asked to come again, and no quota counts.
    """
    if standing is None:
        return None
    if standing.blocks.has_client(client_ip):
        raise Refused(CLIENT_UNWANTED.format(client=client_ip) if standing.is_fresh else NOT_NOW)
    if standing.blocks.has_sender(reverse_path):
        raise Refused(SENDER_UNWANTED if standing.is_fresh else NOT_NOW)
    if not standing.is_fresh:
        return None
    quota = standing.quota
    limit = quota.size_max_octets
    if limit is not None and declared_octets is not None and declared_octets > limit:
        raise Refused(TOO_BIG_FOR_RECIPIENT.format(limit=limit))
    if quota.mails_per_month is not None and quota.is_used_up(month_of(now)):
        raise Refused(OVER_QUOTA)
    return limit if declared_octets is None else None
