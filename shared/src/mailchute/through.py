"""
Mode through: what the SMTP edge asks while its client waits, and what it hears.

The question goes on the core subject `through.mail` to one connector of all that listen. Until there is
an answer, PROGRESS comes to the same inbox every second; an asker that hears nothing knows that nobody
works for it any more.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from mailchute.mail import MailObject

PROGRESS = b"+WPI"  # as JetStream's own "in progress" (ADR-15)
PROGRESS_EVERY_S = 1.0

Result = Literal[
    "delivered",  # the endpoint answered 2xx
    "repeated",  # it had answered 2xx to an earlier copy of this mail: no POST was made now
    "blocked",  # by a rule of the alias
    "declined",  # the endpoint answered 422: it does not want this mail
    "gone",  # it answered 410: it wants no mail any more
    "unreadable",  # no function of ours can ever work on it
    "failed",  # any other answer of the endpoint
    "silent",  # no answer of the endpoint, or none is to be expected: its breaker is open
    "disabled",  # the endpoint is disabled or deleted
    "busy",  # too many wait already
    "away",  # something of ours was, or there was no time left
]


class ThroughRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One mail whose client waits."""

    version: int = 1
    mail: MailObject
    left_s: float  # an answer that comes later than this is not heard; not a time: clocks differ


class ThroughAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said to the client."""

    version: int = 1
    result: Result
    mail_id: str  # of the first copy of this mail that came: the webhook-id of every POST
