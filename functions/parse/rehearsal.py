"""A draft that is shown and not kept: no attachment goes to S3, and each rule tells why."""

from __future__ import annotations

from datetime import timedelta

from mailchute.parsed import ParseRequest
from msgspec.structs import replace

from .draft import Draft
from .rules import traced
from .settings import URL_LIFE_S

NOWHERE = "https://storage.invalid"  # RFC 2606, 2: no host of this name will ever be


def rehearsed(draft: Draft, request: ParseRequest) -> Draft:
    """Return the draft as a rehearsal shows it: what would be uploaded has a URL that leads nowhere."""
    payload, mail = draft.payload, request.mail
    attachments = list(payload.message.attachments)
    expires_at = (mail.received_at + timedelta(seconds=URL_LIFE_S)).replace(microsecond=0)
    for upload in draft.uploads:
        url = f"{NOWHERE}/{mail.id}/{upload.index}"
        attachments[upload.index] = replace(attachments[upload.index], url=url, expires_at=expires_at)
    message = replace(payload.message, attachments=tuple(attachments))
    answer = replace(draft.answer, trace=traced(mail.alias.rules, mail, request.report, message))
    return Draft(payload=replace(payload, message=message), answer=answer, failure=draft.failure)
