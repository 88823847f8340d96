"""The payload of a mail that cannot be read: what is safe to know, and the mail itself beside it."""

from __future__ import annotations

from mailchute.author import Author, author_of
from mailchute.parsed import ParseRequest
from mailchute.payload import Content
from msgspec.structs import replace

from .attachments import Tray
from .draft import Draft
from .header_section import HeaderSection, read_header_section
from .limits import LimitExceeded
from .message import message_of
from .settings import WorkerSettings
from .work import RAW_NAME, content_octets, drafted

GLANCE_OCTETS = 32 * 1024  # of the header section: all that is looked at when the whole is too much
GLANCE_FIELDS_COUNT = 200


def degraded(
    request: ParseRequest, settings: WorkerSettings, reason: str, failure: str | None = None
) -> Draft:
    """
    Return the mail unread, as an attachment, with as much of its header section as is safe.

    Args:
        reason: The limit's name, or what failed, for `security.limits`.
        failure: What to log.
    """
    mail, report = request.mail, request.report
    octets = content_octets(mail)[mail.trace_octets :]
    tray = Tray(
        inline_limit_octets=mail.alias.inline_limit_octets,
        inline_left_octets=mail.alias.body_limit_octets,
        has_storage=settings.stores(mail.alias),
        is_infected=report.security.virus is not None and report.security.virus.infected,
    )
    tray.put(octets, filename=RAW_NAME, content_type="message/rfc822")
    section, author = _glance(octets)
    message = message_of(
        mail,
        section,
        author,
        content=Content(text="", html=None, markdown=""),
        attachments=tuple(tray.attachments),
        authserv_id=settings.authserv_id,
    )
    security = replace(
        report.security,
        degraded=True,
        limits=tuple(dict.fromkeys((*report.security.limits, reason))),
        from_ambiguous=report.security.from_ambiguous or author.is_ambiguous,
    )
    return drafted(mail, report, message, security, tray, failure=failure)


def _glance(octets: bytes) -> tuple[HeaderSection, Author]:
    """Return the first fields; no author unless they are the whole section, for another From may follow."""
    head = octets[:GLANCE_OCTETS]
    try:
        section, end = read_header_section(head)
    except LimitExceeded:
        return HeaderSection([]), Author()
    if end < len(head) or len(octets) <= GLANCE_OCTETS:
        return HeaderSection(section.fields[:GLANCE_FIELDS_COUNT]), author_of(head[:end])
    return HeaderSection(section.fields[: min(GLANCE_FIELDS_COUNT, len(section.fields) - 1)]), Author()
