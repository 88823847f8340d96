"""What a function's status means for the value it was asked about (DESIGN, 2)."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from mailchute import wire
from mailchute.errors import PermanentError, TransientError, Undecodable
from mailchute.function import NEVER

from connector.batch import FunctionAnswer

T = TypeVar("T")


class Refused(PermanentError):
    """The function says that this input can never be worked on."""


class NotNow(TransientError):
    """The function failed over it in a way that may pass."""


def value_of(answer: FunctionAnswer, kind: type[T], *, stage: str) -> T:
    """
    Return the value of a 2xx.

    Raises:
        Refused: 422.
        NotNow: Any other status, or a 2xx with something else in it.
    """
    if answer.status == NEVER:
        raise Refused(f"{stage}: {_reason(answer.body)}")
    if not 200 <= answer.status < 300:
        raise NotNow(f"{stage}: {answer.status} {_reason(answer.body)}")
    try:
        return wire.decode(answer.body, kind)
    except Undecodable as error:
        raise NotNow(f"{stage}: answered {answer.status} with something else: {error}") from error


class _Failure(msgspec.Struct):
    error: str = ""


def _reason(body: bytes) -> str:
    try:
        return wire.decode_json(body[:4_096], _Failure).error[:200]
    except (Undecodable, TransientError):
        return ""
