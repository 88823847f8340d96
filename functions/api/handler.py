"""The shell of api: the REST API under /api/v1, which the host serves as pages; `handle` refuses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mailchute.function import NEVER, Answer, Call, failure

from .opening import opened
from .pages import application
from .settings import Settings

CONCURRENCY = 8
PUBLIC = False

_application: Any = None


def start(environ: Mapping[str, str] = os.environ) -> None:
    """
    Open the database.

    Raises:
        BadSetting: A setting cannot be used, or the database is not migrated.
        DatabaseUnavailable: It does not answer; the host starts us again.
    """
    global _application  # noqa: PLW0603 (a function is a module: this is its state)
    _application = application(opened(Settings.read(environ)))


def pages(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer one request of a person or program (WSGI, PEP 3333)."""
    answered: Iterable[bytes] = _application(environ, start_response)
    return answered


def handle(_call: Call) -> Answer:
    """Refuse: nobody calls the API as a function."""
    return failure(NEVER, ValueError("the API is under /api/v1"))
