"""
A challenge: whether who answers at an endpoint's URL expects mail of ours at all.

Its owner asks for it (routes: `verify: true`). The POST is signed like any other; a 2xx whose body holds the
challenge shows that the receiver read it. A URL that was mistyped, or is somebody else's, does not echo it.
"""

from __future__ import annotations

from typing import Literal

from mailchute import wire

from .answer import Answer
from .formats import Shape
from .verdict import reason_of

EVENT = "endpoint.challenge"


def challenge_shape(challenge: str) -> Shape:
    """Return the body that asks for an echo, the same in every format."""
    return Shape(
        body=wire.encode_json({"event": EVENT, "challenge": challenge}), content_type="application/json"
    )


def echo_of(challenge: str, answer: Answer) -> tuple[Literal["delivered", "failed"], str]:
    """Return whether the endpoint echoed it, and one line for its owner where it did not."""
    if not 200 <= answer.status < 300:
        return "failed", reason_of(answer)
    if challenge.encode() not in answer.body:
        return "failed", f"{answer.status}: the answer does not hold the challenge; echo it in the body"
    return "delivered", ""


def waiting_for(endpoint_id: str) -> str:
    """Return why nothing is POSTed to an endpoint that has not echoed one yet."""
    return f"not verified yet: nothing is sent before `mailchute endpoints verify {endpoint_id}` succeeds"
