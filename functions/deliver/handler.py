"""The shell of deliver: decode, make the attempt, encode its outcome."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial

from mailchute.delivery import AttemptRequest, RehearsalRequest
from mailchute.errors import BadSetting
from mailchute.function import Answer, Call, answer
from mailchute.settings import Reader

from .attempt import Attempts
from .opening import opened
from .rehearsal import HEADER, rehearsed
from .settings import Settings

CONCURRENCY = 1_024  # threads that mostly wait; half of them may hang while the rest serves
PUBLIC = False

_attempts: Attempts | None = None


def start(environ: Mapping[str, str] = os.environ) -> None:
    """
    Read the settings and open what every call shares.

    Raises:
        BadSetting: One line per mistake.
    """
    global _attempts  # noqa: PLW0603 - set once per process, before the first call
    reader = Reader(environ)
    settings = Settings.read(reader)
    if not settings.database.master_key_file:
        reader.mistakes.append("MAILCHUTE_MASTER_KEY_FILE is not set: it opens the endpoints' secrets")
    reader.check()
    _attempts = opened(settings)


def handle(call: Call) -> Answer:
    """Make one attempt; what the endpoint did is a value of a 200."""
    if _attempts is None:
        raise BadSetting("deliver was called before start()")
    if HEADER in call.headers:
        return answer(call, RehearsalRequest, partial(rehearsed, _attempts))
    return answer(call, AttemptRequest, _attempts.make)
