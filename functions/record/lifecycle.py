"""What a mail has come to, told to its account whenever that becomes another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from mailchute.journal import Event
from mailchute.store.account_events import AccountEvent, Kind

from .rows import MailRow

TOLD: dict[str, Kind] = {
    "delivered": "delivered",
    "failed": "failed",
    "rejected": "rejected",
    "dead": "dead",
}


def lifecycle_events(
    before: Mapping[str, str], mails: Iterable[MailRow], events: Iterable[Event]
) -> list[AccountEvent]:
    """
    Return an event for each mail that has come to another state.

    Args:
        before: The state of those that were known, by id.
        events: The facts that made it so: the newest of a mail's is when it happened.
    """
    newest: dict[str, datetime] = {}
    for event in events:
        newest[event.mail_id] = max(event.at, newest.get(event.mail_id, event.at))
    return [
        AccountEvent(
            account_id=mail.account_id,
            at=newest[mail.id],
            kind=TOLD[mail.state],
            mail_id=mail.id,
            detail={"stage": mail.stage} if mail.state == "dead" and mail.stage else {},
        )
        for mail in mails
        if mail.state in TOLD
        and mail.state != before.get(mail.id)
        and mail.erased_at is None
        and mail.id in newest
    ]
