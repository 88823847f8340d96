"""What a function's status means for the value it was asked about."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from mailchute import wire
from mailchute.errors import PermanentError, TransientError, Undecodable
from mailchute.function import NEVER, NOT_NOW

from connector.batch import FunctionAnswer

AWAY = frozenset({404, 429, 502, 503, 504})  # full, being deployed, gone: not the value's fault

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
        raise Refused(f"{stage}: {_failure(answer.body).error[:200]}")
    if not 200 <= answer.status < 300:
        raise NotNow(f"{stage}: {answer.status} {_failure(answer.body).error[:200]}")
    try:
        return wire.decode(answer.body, kind)
    except Undecodable as error:
        raise NotNow(f"{stage}: answered {answer.status} with something else: {error}") from error


def means_away(answer: FunctionAnswer) -> bool:
    """
    Return whether the function is away or full, and not only unable to work on this value.

    A 503 in the function's own words ("this account's storage does not answer") is about the value.
    """
    return answer.status in AWAY and not (answer.status == NOT_NOW and _failure(answer.body).type)


class _Failure(msgspec.Struct):
    """How mailchute.function tells of one."""

    error: str = ""
    type: str = ""


def _failure(body: bytes) -> _Failure:
    try:
        return wire.decode_json(body, _Failure)
    except (Undecodable, TransientError):
        return _Failure()  # a gateway's page
