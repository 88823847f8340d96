"""expire: which mails are due, and what is left of those that the streams no longer hold goes for good."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mailchute.expiring import ExpireRequest
from mailchute.function import Answer, Call, answer

from .rounds import Rounds
from .settings import Settings

CONCURRENCY = 2
PUBLIC = False

_rounds: Rounds | None = None


def start(environ: Mapping[str, str] = os.environ) -> None:
    """
    Open the database.

    Raises:
        BadSetting: A setting cannot be used, or the database is not migrated.
        DatabaseUnavailable: It does not answer; the host starts us again.
    """
    global _rounds  # noqa: PLW0603 - the host knows functions as modules
    _rounds = Rounds.opened(Settings.read(environ))


def handle(call: Call) -> Answer:
    """Answer an ExpireRequest with an ExpireAnswer; 503 while the database is away."""
    assert _rounds is not None, "start() comes first"
    return answer(call, ExpireRequest, _rounds.answer)
