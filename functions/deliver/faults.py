"""What went wrong at the endpoint's side of an attempt; it always ends as an AttemptOutcome."""

from __future__ import annotations


class EndpointFault(Exception):
    """The attempt failed for a reason its owner can act on; the text is one line for a person."""


class Unanswered(EndpointFault):
    """The connection ended before one octet of an answer came."""
