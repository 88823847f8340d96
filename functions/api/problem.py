"""What the API refuses, and how it says so: application/problem+json (RFC 9457)."""

from __future__ import annotations

import re
from http import HTTPStatus

import msgspec

PROBLEM_JSON = "application/problem+json"

_PLACE = re.compile(r"(.*?)(?: - at `\$\.?(.*)`)?", re.DOTALL)
_NAMED = re.compile(r"Object (?:contains unknown|missing required) field `(.*)`")


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with what was sent."""

    line: int | None = None  # of a routes file; None elsewhere
    field: str | None = None  # of a body or query, such as `headers[0].name`; None: not one alone
    text: str


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every answer from 400 on (RFC 9457, 3.1)."""

    title: str
    status: int
    detail: str = ""
    mistakes: tuple[Mistake, ...] = ()


class Problem(Exception):
    """The request cannot be answered as it was asked."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        mistakes: tuple[Mistake, ...] = (),
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.details = ProblemDetails(
            title=HTTPStatus(status).phrase, status=status, detail=detail, mistakes=mistakes
        )
        self.retry_after_s = retry_after_s


def not_found(what: str) -> Problem:
    return Problem(404, f"{what}: there is none of this id")


def unusable(field: str, error: ValueError) -> Problem:
    """Return the problem of a field whose form is right and whose content is not."""
    return Problem(422, f"{field}: {error}", mistakes=(Mistake(field=field, text=str(error)),))


def malformed(what: str, error: Exception) -> Problem:
    """Return the problem that msgspec tells of: `what` is "the body" or "the query"."""
    match = _PLACE.fullmatch(str(error))
    text, field = (match[1], match[2]) if match else (str(error), None)
    if named := _NAMED.fullmatch(text):
        field = f"{field}.{named[1]}" if field else named[1]
    return Problem(400, f"{what}: {error}", mistakes=(Mistake(field=field, text=text),))
