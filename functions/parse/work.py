"""One parse request to one draft: a pure function of its input."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from mailchute.author import author_of
from mailchute.envelope import Path
from mailchute.mail import MailObject
from mailchute.parsed import AttachmentSummary, MailSummary, ParseAnswer, ParseRequest
from mailchute.payload import Bounce, CalendarEvent, EnvelopeFacts, Integrity, Message, Payload, Reply
from mailchute.verdicts import ScanReport, Security
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from .attachments import Tray
from .bodies import Bodies, sort_leaves
from .bounce import bounce_of
from .content import content_of, shortened
from .draft import Draft
from .entity import Entity, read_mail
from .hops import hops_of
from .invitations import events_of
from .limits import ADDRESSES_MAX_COUNT, REPLY_MAX_CHARACTERS
from .message import message_of, thread_of
from .reply import split_reply
from .report import report_of
from .rules import deciding_rule, endpoint_id_of, without_dropped
from .settings import WorkerSettings
from .winmail import open_tnef


@dataclass(frozen=True, kw_only=True)
class Sections:
    """What only some mails have."""

    reply: Reply | UnsetType = UNSET
    calendar: tuple[CalendarEvent, ...] | UnsetType = UNSET
    bounce: Bounce | UnsetType = UNSET
    report: dict[str, Any] | UnsetType = UNSET


RAW_NAME = "message.eml"  # the raw mail, beside a payload that does not hold all of it


def parsed(request: ParseRequest, settings: WorkerSettings) -> Draft:
    """
    Return the mail as a payload, and what the alias's rules decide.

    Raises:
        LimitExceeded: The mail goes over a limit.
    """
    mail, report, alias = request.mail, request.report, request.mail.alias
    octets = content_octets(mail)
    root = read_mail(octets, mail.trace_octets)
    bodies = sort_leaves(root)
    open_tnef(bodies)
    limits: list[str] = []
    include = {name for endpoint in alias.endpoints for name in endpoint.include}
    content = content_of(bodies, engine=settings.markdown, include=include, limits=limits)
    short = shortened(content, alias.body_limit_octets)
    if short is not None:
        content = short
        limits.append("content-size")
    tray = Tray(
        inline_limit_octets=alias.inline_limit_octets,
        inline_left_octets=alias.body_limit_octets - 2 * len(content.text) - 2 * len(content.html or ""),
        has_storage=settings.stores(alias),
        is_infected=report.security.virus is not None and report.security.virus.infected,
    )
    if short is not None:
        tray.put(octets[mail.trace_octets :], filename=RAW_NAME, content_type="message/rfc822")
    for part in bodies.attachments:
        tray.take(part)
    tray.take_files(bodies.files)
    author = author_of(_header_octets(octets, mail.trace_octets, root))
    message = message_of(
        mail,
        root.section,
        author,
        content=content,
        attachments=tuple(tray.attachments),
        authserv_id=settings.authserv_id,
    )
    message = replace(
        message,
        defects=tuple(dict.fromkeys(root.all_defects())) or UNSET,
        received=hops_of(root.section) if "received" in include else UNSET,
    )
    if any(len(boxes) >= ADDRESSES_MAX_COUNT for boxes in (message.to, message.cc, message.reply_to)):
        limits.append("addresses")
    security = replace(
        report.security,
        degraded=report.security.degraded or short is not None,
        limits=(*report.security.limits, *dict.fromkeys(limits)),
        from_ambiguous=report.security.from_ambiguous or author.is_ambiguous,
    )
    sections = _sections(mail, root, bodies, content.text)
    return drafted(mail, report, message, security, tray, sections=sections)


def _sections(mail: MailObject, root: Entity, bodies: Bodies, text: str) -> Sections:
    return Sections(
        reply=(split_reply(text) if len(text) <= REPLY_MAX_CHARACTERS else None) or UNSET,
        calendar=events_of(bodies.attachments) or UNSET,
        bounce=bounce_of(root, text, is_null_reverse_path=_is_notification(mail)) or UNSET,
        report=report_of(root, bodies.attachments) or UNSET,
    )


def _is_notification(mail: MailObject) -> bool:
    """Say whether the envelope has the null reverse-path; a mail without an envelope says nothing."""
    return mail.envelope.reverse_path is None and bool(mail.envelope.client_ip)


def drafted(
    mail: MailObject,
    report: ScanReport,
    message: Message,
    security: Security,
    tray: Tray,
    *,
    sections: Sections | None = None,
    failure: str | None = None,
) -> Draft:
    """Return the draft for a message: rules asked, hashes taken."""
    sections = sections or Sections()
    rule = deciding_rule(mail.alias.rules, mail, report, message)
    tags = (rule.tag,) if rule is not None and rule.then == "tag" else ()
    is_blocked = rule is not None and rule.then == "block"
    message, uploads = without_dropped(rule, message, tray.uploads)
    payload = Payload(
        id=mail.id,
        received_at=mail.received_at,
        domain_id=mail.alias.domain_id,
        alias_id=mail.alias.alias_id,
        tags=tags,
        envelope=_envelope(mail, report),
        message=message,
        auth=report.auth,
        spam=report.spam,
        security=security,
        integrity=Integrity(raw_hash=_raw_hash(mail), content_hash=_content_hash(message)),
        thread=thread_of(mail.id, message),
        reply=sections.reply,
        calendar=sections.calendar,
        bounce=sections.bounce,
        report=sections.report,
    )
    answer = ParseAnswer(
        decision="reject" if is_blocked else "deliver",
        notify=is_blocked and rule is not None and rule.notify,
        rule=None if rule is None else rule.when,
        payload=b"",
        tags=tags,
        spam_score=report.spam.score if report.spam else None,
        summary=_summary(mail, report, message),
        endpoint_id=endpoint_id_of(rule, mail.alias.endpoints),
        words=rule.words if is_blocked and rule is not None else None,
    )
    return Draft(
        payload=payload,
        answer=answer,
        uploads=uploads,
        failure=failure,
        storage_connection_id=mail.alias.storage_connection_id,
        retention_s=mail.alias.retention_s,
    )


def content_octets(mail: MailObject) -> bytes:
    """Return the content; the connector has resolved what lay elsewhere."""
    if not isinstance(mail.content, bytes):
        raise TypeError("the content is still a reference")
    return mail.content


def _header_octets(octets: bytes, start: int, root: Entity) -> bytes:
    return octets[start : root.start]


def _envelope(mail: MailObject, report: ScanReport) -> EnvelopeFacts:
    envelope = mail.envelope
    return EnvelopeFacts(
        mail_from=_printed(envelope.reverse_path),
        rcpt_to=_printed(envelope.forward_path),
        helo=_printed(envelope.helo),
        client_ip=envelope.client_ip,
        ptr=report.ptr,
        tls=envelope.tls,
    )


def _printed(text: Path | str | None) -> str:
    """Return it as JSON can hold it: octets that are no UTF-8 came as surrogates."""
    return "" if text is None else str(text).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _raw_hash(mail: MailObject) -> str:
    return "sha256:" + hashlib.sha256(memoryview(content_octets(mail))[mail.trace_octets :]).hexdigest()


def _content_hash(message: Message) -> str:
    """
    Return the hash of what was read: subject, text, HTML and each attachment's own hash, as UTF-8 with
    a NUL after each. Two copies of a mail that took different ways share it.
    """
    said = [message.subject, message.content.text, message.content.html or ""]
    said += [attachment.sha256 for attachment in message.attachments]
    return "sha256:" + hashlib.sha256("".join(f"{each}\0" for each in said).encode()).hexdigest()


def _summary(mail: MailObject, report: ScanReport, message: Message) -> MailSummary:
    return MailSummary(
        message_id=message.message_id,
        recipient=_printed(mail.envelope.forward_path),
        subject=message.subject,
        size_octets=mail.size_octets,
        attachments=tuple(
            AttachmentSummary(filename=each.filename, content_type=each.content_type, size_octets=each.size)
            for each in message.attachments
        ),
        spam_score=report.spam.score if report.spam else None,
        is_spam=report.spam.is_spam if report.spam else None,
    )
