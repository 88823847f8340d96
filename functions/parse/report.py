"""Mail that a program wrote: complaints, auto-replies, receipts, DMARC and TLS reports."""

from __future__ import annotations

import re
from typing import Any

from .bodies import Part
from .bounce import status_blocks
from .domain_report import dmarc_report, tls_report
from .entity import Entity
from .header_section import HeaderSection
from .message import message_id_of
from .unpacking import unpacked
from .words import text_of

_AUTO_SUBJECT = re.compile(
    r"\s*(?:re: ?)?(?:auto(?:matic|mated)?[- ]?(?:reply|response)|out of (?:the )?office"
    r"|autoreply|abwesenheits|automatische antwort"
    r"|r[ée]ponse automatique|respuesta autom[áa]tica|risposta automatica|automatisch antwoord"
    r"|autosvar|away from)",
    re.IGNORECASE,
)
_XML_NAME = re.compile(r"\.xml(?:\.gz)?$|\.zip$|\.gz$", re.IGNORECASE)
_XML_TYPES = frozenset(
    f"{main}/{sub}"
    for main in ("application", "text")
    for sub in ("xml", "zip", "x-zip", "x-zip-compressed", "gzip", "x-gzip", "x-gzip-compressed")
)


def report_of(root: Entity, parts: list[Part]) -> dict[str, Any] | None:
    """Return what the mail reports, its kind first, or None."""
    kind = root.parameters.get("report-type", "").lower()
    leaves = list(root.leaves())
    feedback = next((leaf for leaf in leaves if leaf.media_type == "message/feedback-report"), None)
    if feedback is not None:
        return _complaint(feedback, leaves)
    receipt = next((leaf for leaf in leaves if leaf.media_type == "message/disposition-notification"), None)
    if receipt is not None:
        return _receipt(receipt)
    for part in parts:
        if (found := _domain_report(part, kind)) is not None:
            return found
    return _auto_reply(root.section)


def _fields(leaf: Entity) -> HeaderSection:
    return next(status_blocks(leaf.body()), HeaderSection([]))


def _complaint(leaf: Entity, leaves: list[Entity]) -> dict[str, Any]:
    """ARF (RFC 5965), and what DMARC failure reports make of it (RFC 6591)."""
    fields = _fields(leaf)
    feedback_type = text_of(fields.first("feedback-type") or b"").lower()
    original = next((each.children[0].section for each in leaves if each.is_mail and each.children), None)
    return {
        "kind": "dmarc-failure" if feedback_type == "auth-failure" else "complaint",
        "feedbackType": feedback_type or None,
        "userAgent": _optional(fields, "user-agent"),
        "sourceIp": _optional(fields, "source-ip"),
        "arrivalDate": _optional(fields, "arrival-date") or _optional(fields, "received-date"),
        "reportedDomain": _optional(fields, "reported-domain"),
        "originalMailFrom": (_optional(fields, "original-mail-from") or "").strip("<>") or None,
        "originalRcptTo": [text_of(body).strip("<>") for body in fields.all("original-rcpt-to")],
        "authFailure": _optional(fields, "auth-failure"),
        "originalMessageId": message_id_of(original) if original is not None else None,
    }


def _receipt(leaf: Entity) -> dict[str, Any]:
    """MDN (RFC 8098)."""
    fields = _fields(leaf)
    return {
        "kind": "disposition-notification",
        "disposition": _optional(fields, "disposition"),
        "finalRecipient": (_optional(fields, "final-recipient") or "").rpartition(";")[2].strip() or None,
        "originalMessageId": _optional(fields, "original-message-id"),
    }


def _domain_report(part: Part, report_type: str) -> dict[str, Any] | None:
    media_type = part.entity.media_type
    if media_type.startswith("application/tlsrpt") or report_type == "tlsrpt":
        return tls_report(unpacked(part.entity.body()))
    if media_type in _XML_TYPES or (
        media_type == "application/octet-stream" and _XML_NAME.search(part.filename)
    ):
        return dmarc_report(unpacked(part.entity.body()))
    return None


def _auto_reply(section: HeaderSection) -> dict[str, Any] | None:
    """RFC 3834, 5, and what programs wrote before it."""
    auto = text_of(section.first("auto-submitted") or b"").lower().partition(";")[0].strip()
    precedence = text_of(section.first("precedence") or b"").lower()
    subject = text_of(section.first("subject") or b"")
    is_auto = (
        auto.startswith("auto-replied")
        or any(section.first(key) is not None for key in ("x-autoreply", "x-autorespond", "x-autoresponder"))
        or precedence in ("auto_reply", "auto-reply")
        or bool(_AUTO_SUBJECT.match(subject))
    )
    return {"kind": "auto-reply", "autoSubmitted": auto or None} if is_auto else None


def _optional(fields: HeaderSection, key: str) -> str | None:
    body = fields.first(key)
    return None if body is None else text_of(body) or None
