"""The message section of the payload, from the tree of a mail."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from mailchute.author import Author
from mailchute.mail import MailObject
from mailchute.payload import Attachment, Content, HeaderField, Mailbox, Message, Recipient, Thread
from mailparser.dates import parse_mail_date
from msgspec import UNSET

from .addresses import mailboxes_of
from .header_section import HeaderSection
from .words import text_of, unfolded

_MSG_ID = re.compile(r"<[^<>\s]{1,995}>")  # a line has at most 998 characters (RFC 5322, 2.1.1)
_AUTHSERV_ID = re.compile(r'(?:\s|\([^()]*+\))*+"?([^\s;()"]++)')
REFERENCES_MAX_COUNT = 200  # shown: the first, which names the thread, and the newest; `headers` hold all
# A date as nearly all mails write it (RFC 5322, 3.3); mail-parser reads the rest, letter by letter.
_PLAIN_DATE = re.compile(
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?([0-9]{1,2}) ([A-Z][a-z]{2}) (19[0-9]{2}|2[0-9]{3})"
    r" ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-5][0-9])(?: \([A-Z]{1,5}\))?"
)
_MONTH_NAMES = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES.split(), 1)}


def message_of(
    mail: MailObject,
    section: HeaderSection,
    author: Author,
    *,
    content: Content,
    attachments: tuple[Attachment, ...],
    authserv_id: str,
) -> Message:
    """
    Return the message section.

    Args:
        authserv_id: Authentication-Results that bear it are left out: they were not made by us.
    """
    tos = mailboxes_of(section, "to")
    return Message(
        message_id=message_id_of(section),
        date=_date(section),
        subject=text_of(section.first("subject") or b""),
        sender=author.mailboxes[0] if len(author.mailboxes) == 1 else None,
        recipient=_recipient(mail, tos + (ccs := mailboxes_of(section, "cc"))),
        to=tos,
        cc=ccs,
        reply_to=mailboxes_of(section, "reply-to"),
        in_reply_to=next(iter(_ids(section, "in-reply-to")), None),
        references=_references(section),
        content=content,
        attachments=attachments,
        headers=_headers(section, authserv_id),
    )


def message_id_of(section: HeaderSection) -> str | None:
    """Return the msg-id with its brackets; one written without them as it stands; None for none."""
    body = unfolded(section.first("message-id") or b"")
    match = _MSG_ID.search(body)
    return match[0] if match else body or None


def thread_of(mail_id: str, message: Message) -> Thread:
    """Return the conversation: all replies to one mail share the key, in whatever order they come."""
    first = message.references[0] if message.references else message.in_reply_to
    return Thread(key=first or message.message_id or mail_id, in_reply_to=message.in_reply_to)


def _ids(section: HeaderSection, key: str) -> tuple[str, ...]:
    body = section.first(key)
    return () if body is None else tuple(dict.fromkeys(_MSG_ID.findall(unfolded(body))))


def _references(section: HeaderSection) -> tuple[str, ...]:
    ids = _ids(section, "references")
    return ids if len(ids) <= REFERENCES_MAX_COUNT else ids[:1] + ids[1 - REFERENCES_MAX_COUNT :]


def _date(section: HeaderSection) -> datetime | None:
    body = section.first("date")
    if body is None:
        return None
    text = unfolded(body)
    plain = _PLAIN_DATE.fullmatch(text)
    try:
        if plain is not None and (month := _MONTHS.get(plain[2])):
            return _plain_date(plain, month)
        date: datetime | None = parse_mail_date(text).value
    except (ValueError, OverflowError):
        return None
    if date is None:
        return None
    return date.replace(tzinfo=UTC) if date.utcoffset() is None else date


def _plain_date(match: re.Match[str], month: int) -> datetime:
    """Return the date in UTC. Raises ValueError, OverflowError: there is no such date."""
    day, _, year, hour, minute, second, sign, hours, minutes = match.groups()
    east = timedelta(hours=int(hours), minutes=int(minutes))
    moment = datetime(int(year), month, int(day), int(hour), int(minute), min(int(second), 59), tzinfo=UTC)
    if second == "60":  # a leap second; 61 and more are none
        moment += timedelta(seconds=1)
    elif second > "60":
        raise ValueError(second)
    return moment - east if sign == "+" else moment + east


def _recipient(mail: MailObject, named: tuple[Mailbox, ...]) -> Recipient:
    """Return the forward-path, with the name that To or Cc gives it."""
    email = str(mail.envelope.forward_path)
    name = next((box.name for box in named if box.email.lower() == email.lower()), None)
    return Recipient(name=name, email=email, tag=mail.alias.tag, captures=mail.alias.captures or UNSET)


def _headers(section: HeaderSection, authserv_id: str) -> tuple[HeaderField, ...]:
    fields = [(name, key, text_of(body)) for name, key, body in section.fields]
    return tuple(
        [
            HeaderField(name=name, value=text)
            for name, key, text in fields
            if key != "authentication-results" or not _bears(text, authserv_id)
        ]
    )


def _bears(text: str, authserv_id: str) -> bool:
    """Say whether an Authentication-Results body claims to be ours (RFC 8601, 5)."""
    match = _AUTHSERV_ID.match(text)
    return match is not None and match[1].lower() == authserv_id.lower()
