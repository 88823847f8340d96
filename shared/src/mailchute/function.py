"""
What a function is to the server that hosts it: one call in, one answer out.

`template/python3-mailchute/index.py` hosts any module that has

    handle(call: Call) -> Answer    decode, work, encode
    CONCURRENCY: int                calls served at once by one process (max_inflight)
    PUBLIC: bool                    also answers a person on the same machine (scan and parse only)
    start() -> None                 once per process, before the first call (pools, caches)
    pages(environ, start_response)  only where it answers people under paths of its own (WSGI): the API
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from mailchute import wire
from mailchute.errors import PermanentError, TransientError

NEVER = 422
NOT_NOW = 503
BROKEN = 500
RETRY_AFTER_S = 1.0  # what a function that is away tells its caller

log = logging.getLogger("mailchute.function")

Request = TypeVar("Request")


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request to a function."""

    body: bytes
    content_type: str = wire.MSGPACK  # without parameters, lower case
    accept: str = ""  # the type asked for; "" means the one it was asked in
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the function makes of it; the status tells the connector what to do next (docs/flow.md)."""

    status: int
    body: bytes = b""
    content_type: str = wire.MSGPACK
    retry_after_s: float | None = None


def answer(
    call: Call,
    request: type[Request],
    work: Callable[[Request], object],
    *,
    from_message: Callable[[Call], Request] | None = None,
) -> Answer:
    """
    Decode the call, work on it, encode what comes out.

    Args:
        request: The type that `work` takes.
        from_message: Makes a request of a bare message/rfc822; None where that is no input.

    Returns:
        200 with the value; 422 when this input can never be worked on; 503 when not now.
        What else is raised is the host's to turn into a 500.
    """
    try:
        if call.content_type == wire.MESSAGE and from_message is not None:
            value, default = from_message(call), wire.JSON
        elif call.content_type == wire.JSON:
            value, default = wire.decode_json(call.body, request), wire.JSON
        else:
            value, default = wire.decode(call.body, request), wire.MSGPACK
        result = work(value)
    except PermanentError as error:
        return failure(NEVER, error)
    except TransientError as error:
        return failure(NOT_NOW, error, retry_after_s=RETRY_AFTER_S)
    accepts = call.accept if call.accept in (wire.JSON, wire.MSGPACK) else default
    body = wire.encode_json(result) if accepts == wire.JSON else wire.encode(result)
    return Answer(status=200, body=body, content_type=accepts)


def failure(status: int, error: Exception, *, retry_after_s: float | None = None) -> Answer:
    """Return the answer that names what went wrong, for a log and a person."""
    body = wire.encode_json({"error": str(error), "type": type(error).__name__})
    return Answer(status=status, body=body, content_type=wire.JSON, retry_after_s=retry_after_s)
