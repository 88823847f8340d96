"""Attachments as the payload shows them: named, weighed, told by their octets, inline or to be uploaded."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from mailchute.payload import Attachment, NestedMail
from msgspec import UNSET

from .bodies import Part
from .draft import Upload
from .filenames import made_filename, safe_filename
from .inline_files import InlineFile
from .nested import glance_at
from .signatures import detected_type
from .words import text_of


@dataclass
class Tray:
    """Takes attachments one by one and decides where the octets of each go."""

    inline_limit_octets: int
    inline_left_octets: int  # of the whole payload, in characters of base64
    has_storage: bool
    is_infected: bool = False
    attachments: list[Attachment] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)

    def take(self, part: Part) -> None:
        """Add one part of the mail."""
        entity = part.entity
        octets = entity.octets[entity.start : entity.end] if entity.is_mail else entity.body()
        message = glance_at(entity) if entity.is_mail and entity.children else None
        number = len(self.attachments) + 1
        name = safe_filename(part.filename)
        if not name and message is not None and message.subject:
            name = safe_filename(f"{message.subject}.eml")
        content_id = text_of(entity.section.first("content-id") or b"").strip("<> ") or None
        is_inline = part.disposition == "inline" or (not part.disposition and content_id is not None)
        self.put(
            octets,
            filename=name or made_filename(number, entity.media_type),
            content_type=entity.media_type,
            content_id=content_id,
            disposition="inline" if is_inline else "attachment",
            message=message,
        )

    def take_files(self, files: Iterable[InlineFile]) -> None:
        """Add files that stood in a text or a winmail.dat."""
        for name, octets in files:
            number = len(self.attachments) + 1
            media_type = mimetypes.guess_type(name, strict=True)[0] or "application/octet-stream"
            self.put(
                octets,
                filename=safe_filename(name) or made_filename(number, media_type),
                content_type=media_type,
            )

    def put(
        self,
        octets: bytes,
        *,
        filename: str,
        content_type: str,
        content_id: str | None = None,
        disposition: Literal["inline", "attachment"] = "attachment",
        message: NestedMail | None = None,
    ) -> None:
        """Add octets under this description."""
        index = len(self.attachments)
        encoded_octets = (len(octets) + 2) // 3 * 4
        fits = encoded_octets <= self.inline_left_octets
        is_small = len(octets) <= self.inline_limit_octets
        where: Literal["inline", "upload", "virus", "nowhere"]
        if self.is_infected:
            where = "virus"
        elif fits and (is_small or not self.has_storage):
            where = "inline"
        else:
            where = "upload" if self.has_storage else "nowhere"
        if where == "inline":
            self.inline_left_octets -= encoded_octets
        elif where == "upload":
            self.uploads.append(Upload(index, octets))
        self.attachments.append(
            Attachment(
                filename=filename,
                content_type=content_type,
                detected_type=detected_type(octets),
                size=len(octets),
                sha256=hashlib.sha256(octets).hexdigest(),
                content_id=content_id,
                disposition=disposition,
                content=octets if where == "inline" else UNSET,
                status="completed" if where in ("inline", "upload") else "excluded",
                exclude_reason={"virus": "virus-detected", "nowhere": "no-storage"}.get(where, UNSET),  # type: ignore[arg-type]
                message=UNSET if message is None else message,
            )
        )
