"""The sender's verdict derived again, offline, from the evidence that came with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from mailchute.verdicts import Evidence, SenderVerdict

from .authentication import Authentication
from .checks import Check
from .lookups import EvidenceSource, Lookups
from .message import Message

T = TypeVar("T")


def derive(message: Message, evidence: Iterable[Evidence], *, now: float) -> SenderVerdict:
    """
    Return the verdict that this mail and these DNS answers lead to, without its evidence.

    Anyone who holds the mail and the payload can check the claim `auth.sender` so.

    Args:
        now: Unix time in seconds at which signatures are judged: when the mail was received.
    """
    found = Authentication(message, _Offline(evidence), arc_trusted=(), now=now).verdict("offline")
    sender = found.sender
    return SenderVerdict(
        authenticated=sender.authenticated, address=sender.address, via=sender.via, domain=sender.domain
    )


class _Offline:
    """Runs checks on the spot, on evidence alone."""

    def __init__(self, evidence: Iterable[Evidence]) -> None:
        self._source = EvidenceSource(evidence)

    def start(self, name: str, work: Callable[[Lookups], T], late: T) -> Check[T]:
        check = Check(name, late, deadline=0)
        check.run(work, Lookups(self._source))
        return check
