"""What a worker hands back when the payload is not finished: octets are still to be put on S3."""

from __future__ import annotations

import msgspec
from mailchute import wire
from mailchute.alias import RETENTION_S
from mailchute.parsed import ParseAnswer
from mailchute.payload import Payload


class Upload(msgspec.Struct, frozen=True):
    """The octets of one attachment that are too many to stand in the payload."""

    index: int  # of the attachment in message.attachments
    octets: bytes


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed mail."""

    payload: Payload
    answer: ParseAnswer  # its payload field is still empty
    uploads: tuple[Upload, ...] = ()
    failure: str | None = None  # why it is degraded, for the log
    storage_connection_id: str | None = None  # the account's own bucket; None: the installation's
    retention_s: int = RETENTION_S  # how long what is uploaded lives at least, after the mail's end


def finished(draft: Draft) -> ParseAnswer:
    """Return the answer with its payload encoded."""
    return msgspec.structs.replace(draft.answer, payload=wire.encode_json(draft.payload))
