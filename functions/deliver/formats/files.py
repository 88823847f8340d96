"""Attachments as files, for peers that know no links: what lies elsewhere becomes a file that says where."""

from __future__ import annotations

from dataclasses import dataclass

from mailchute.payload import Attachment, Message
from msgspec import UNSET


@dataclass(frozen=True, kw_only=True)
class File:
    """One attachment with its octets."""

    name: str
    content_type: str
    content: bytes
    content_id: str | None  # without brackets; None: nothing in the HTML refers to it
    disposition: str

    @property
    def is_inline(self) -> bool:
        return self.content_id is not None


def files_of(message: Message) -> tuple[File, ...]:
    return tuple(_file_of(attachment) for attachment in message.attachments)


def _file_of(attachment: Attachment) -> File:
    name, content_type = attachment.filename, attachment.content_type
    if attachment.content is not UNSET:
        content, content_id = attachment.content, attachment.content_id
    elif attachment.url is not UNSET:
        content, content_id = f"{attachment.url}\r\n".encode(), None
        name, content_type = f"{name}.uri", "text/uri-list"  # RFC 2483, 5
    else:
        reason = attachment.exclude_reason or "not kept"
        content, content_id = f"{name}: {attachment.size} octets, left out ({reason})\r\n".encode(), None
        name, content_type = f"{name}.txt", "text/plain"
    return File(
        name=name,
        content_type=content_type,
        content=content,
        content_id=content_id,
        disposition=attachment.disposition,
    )
