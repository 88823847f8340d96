"""A mail handed in by a person (`message/rfc822` with curl), made into a request like any other."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import msgspec
from mailchute import wire
from mailchute.alias import AliasSnapshot
from mailchute.envelope import Envelope, Path
from mailchute.errors import MalformedPath
from mailchute.function import Call
from mailchute.ids import derived_id
from mailchute.mail import MailObject, fingerprint_of
from mailchute.parsed import ParseRequest
from mailchute.verdicts import ScanReport


class EnvelopeHeader(msgspec.Struct, frozen=True):
    """The header Mail-Envelope: JSON, all of it optional."""

    client_ip: str = ""
    helo: str = ""
    reverse_path: str = ""
    forward_path: str = "unknown@localhost"


def request_of(call: Call) -> ParseRequest:
    """
    Return a request for the mail in the call's body; nothing is known about who sent it.

    The same mail has the same id each time, so that a person can compare.

    Raises:
        Undecodable, MalformedPath: Mail-Envelope cannot be read.
    """
    header = wire.decode_json(call.headers.get("mail-envelope", "{}").encode(), EnvelopeHeader)
    forward_path = Path.parse(header.forward_path)
    reverse_path = Path.parse(header.reverse_path) if header.reverse_path.strip("<>") else None
    digest = hashlib.sha256(call.body).digest()
    fingerprint = fingerprint_of(reverse_path, forward_path, digest)
    mail = MailObject(
        id=derived_id("msg", fingerprint),
        envelope=Envelope(
            reverse_path=reverse_path,
            forward_path=forward_path,
            client_ip=header.client_ip,
            helo=header.helo,
        ),
        alias=AliasSnapshot(
            account_id="", domain_id="", alias_id="", address=str(forward_path), endpoints=()
        ),
        received_at=datetime.now(UTC),
        content=call.body,
        fingerprint=fingerprint,
        size_octets=len(call.body),
    )
    return ParseRequest(mail=mail, report=ScanReport())


__all__ = ["EnvelopeHeader", "MalformedPath", "request_of"]
