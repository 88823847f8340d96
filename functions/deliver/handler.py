"""The shell of deliver: decode, make the attempt, encode its outcome."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from mailchute.delivery import AttemptRequest, RehearsalRequest
from mailchute.directory import Directory
from mailchute.errors import BadSetting
from mailchute.function import Answer, Call, answer
from mailchute.resolver import Resolver
from mailchute.sealing import Keyring
from mailchute.settings import Reader

from .attempt import Attempts
from .client import Client
from .egress import Egress
from .identity import Identities
from .names import resolve_by
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
    keyring = Keyring.from_file(Path(settings.database.master_key_file))
    egress = Egress(
        resolve=resolve_by(Resolver(settings.dns)), allowed=settings.allow_private, ports=settings.ports
    )
    _attempts = Attempts(
        endpoints=Directory(settings.database.url, keyring=keyring),
        client=Client(egress=egress, identities=Identities(settings.authority_file)),
        keys=settings.signing_keys,
        timeout_s=settings.timeout_s,
    )


def handle(call: Call) -> Answer:
    """Make one attempt; what the endpoint did is a value of a 200."""
    if _attempts is None:
        raise BadSetting("deliver was called before start()")
    if HEADER in call.headers:
        return answer(call, RehearsalRequest, partial(rehearsed, _attempts))
    return answer(call, AttemptRequest, _attempts.make)
