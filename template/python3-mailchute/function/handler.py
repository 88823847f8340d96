"""A function to begin from: it gives back what it was given."""

from __future__ import annotations

from mailchute.function import Answer, Call

CONCURRENCY = 8
PUBLIC = False


def start() -> None:
    """Open what every call shares."""


def handle(call: Call) -> Answer:
    """Return the call's body."""
    return Answer(status=200, body=call.body, content_type=call.content_type)
