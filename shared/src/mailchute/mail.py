"""The mail object: an envelope and its content (RFC 5321, 2.3.1), one per recipient."""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec

from mailchute.alias import AliasSnapshot
from mailchute.envelope import Envelope, Path


class ContentRef(msgspec.Struct, frozen=True, kw_only=True):
    """Where octets lie that are too many for a stream message."""

    bucket: str
    name: str
    size_octets: int
    sha256: str  # lower-case hex


class MailObject(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted mail for one recipient. Made once, at the SMTP edge; no room alters it."""

    version: int = 1
    id: str  # msg_…
    envelope: Envelope
    alias: AliasSnapshot
    received_at: datetime  # aware, UTC
    content: bytes | ContentRef  # our trace fields, then the octets after DATA as received
    fingerprint: str  # fingerprint_of(…): what a resend of the same mail gives again
    size_octets: int  # of the content as received, without our trace fields
    trace_octets: int = 0  # how many octets at the start of content are our own trace fields
    answered_by: str | None = None  # mode through: the endpoint that answered 2xx and is owed nothing more

    def __post_init__(self) -> None:
        if self.received_at.utcoffset() is None:
            raise ValueError("received_at must be timezone-aware")


def fingerprint_of(reverse_path: Path | None, forward_path: Path, content_sha256: bytes) -> str:
    """
    Return 64 hex digits that only a resend of the same mail to the same recipient gives again.

    Args:
        content_sha256: The digest (32 octets) of the octets after DATA exactly as received,
            without any trace field of ours: those differ each time.
    """
    envelope = f"{reverse_path or ''}\x00{forward_path}\x00".encode(errors="surrogateescape")
    return hashlib.sha256(envelope + content_sha256).hexdigest()
