"""What every attempt shares, opened once."""

from __future__ import annotations

from pathlib import Path

from mailchute.directory import Directory
from mailchute.resolver import Resolver
from mailchute.sealing import Keyring

from .attempt import Attempts
from .client import Client
from .egress import Egress
from .identity import Identities
from .names import resolve_by
from .settings import Settings


def opened(settings: Settings) -> Attempts:
    """
    Return what makes attempts.

    Raises:
        BadSetting: The master key cannot be read.
    """
    keyring = Keyring.from_file(Path(settings.database.master_key_file))
    egress = Egress(
        resolve=resolve_by(Resolver(settings.dns)),
        allowed=settings.allow_private,
        ports=settings.ports,
        listen=settings.listen,
    )
    return Attempts(
        endpoints=Directory(settings.database.url, keyring=keyring),
        client=Client(egress=egress, identities=Identities(settings.authority_file)),
        keys=settings.signing_keys,
        timeout_s=settings.timeout_s,
    )
