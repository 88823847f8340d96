"""What the API refuses, and how it says so: application/problem+json (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

PROBLEM_JSON = "application/problem+json"


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with what was sent."""

    line: int | None  # of a routes file; None elsewhere
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
