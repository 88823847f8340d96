"""Header fields as a peer's receiver may parse them again: one line each, addresses written anew."""

from __future__ import annotations

import re
from collections.abc import Collection
from email.utils import format_datetime

from mailchute.payload import Mailbox, Message

# At most one of each may stand in a header section (RFC 5322, 3.6; RFC 2045, 3); of more, the first is shown.
SINGLE = frozenset(
    {
        "from",
        "sender",
        "reply-to",
        "to",
        "cc",
        "bcc",
        "message-id",
        "in-reply-to",
        "references",
        "subject",
        "date",
        "mime-version",
        "content-type",
    }
)
STRUCTURE = frozenset({"content-transfer-encoding", "content-disposition"})  # of a body that is decoded now

_BREAKS = re.compile(r"[\x00\r\n]+\s*")
_SPECIALS = re.compile(r'[][()<>@,;:\\".\x00-\x1f\x7f]')  # RFC 5322, 3.2.3
_DOT_ATOM = re.compile(r"[^][()<>@,;:\\\"\s\x00-\x1f\x7f]+")  # laxer about dots than 3.2.3, as mail is
_QUOTED_STRING = re.compile(r'"([^"\\]|\\.)*"')  # RFC 5322, 3.2.4
_DOMAIN = re.compile(r"[^][()<>@,;:\\\"\s\x00-\x1f\x7f]+|\[[0-9A-Za-z.:]+\]")  # or a literal (3.4.1)

Field = tuple[str, str]


def fields_of(message: Message, *, without: Collection[str] = (), prefix: str | None = None) -> list[Field]:
    """
    Return the mail's header fields in their order.

    Values are decoded, so that a display name may hold a comma or an address of its own: fields of
    addresses are therefore written anew from what was parsed, quoted, and never read differently again.

    Args:
        without: Names, lower case, of fields left out.
        prefix: Lower case; fields that begin so are left out, for the receiver believes them to be ours.
    """
    addresses = addresses_of(message)
    seen: set[str] = set()
    fields = []
    for field in message.headers:
        name = field.name.lower()
        if name in STRUCTURE or name in without or (prefix and name.startswith(prefix)):
            continue
        if name in SINGLE and name in seen:
            continue
        seen.add(name)
        fields.append((field.name, addresses.get(name) or one_line(field.value)))
    return fields


def addresses_of(message: Message) -> dict[str, str]:
    """Return From, To, Cc and Reply-To as text, by lower-case name; "" where there is none."""
    return {
        "from": mailbox_text(message.sender),
        "to": mailboxes_text(message.to),
        "cc": mailboxes_text(message.cc),
        "reply-to": mailboxes_text(message.reply_to),
    }


def mailboxes_text(mailboxes: tuple[Mailbox, ...]) -> str:
    return ", ".join(mailbox_text(mailbox) for mailbox in mailboxes)


def mailbox_text(mailbox: Mailbox | None) -> str:
    """Return `name <address>`, the name quoted where it could be read as anything else."""
    if mailbox is None:
        return ""
    name, email = one_line(mailbox.name or ""), one_line(mailbox.email)
    address = address_text(email) or (_quoted(email) if email else "")  # a name, then, and nobody's
    if not name:
        return address
    return f"{_quoted(name) if _SPECIALS.search(name) else name} <{address}>"


def address_text(address: str) -> str:
    """
    Return the address so that it reads as one; a broken mail's may hold blanks, commas or brackets.

    Returns:
        "" when it has no local-part or no domain: it is no address (RFC 5322, 3.4.1).
    """
    local_part, _, domain = address.rpartition("@")
    if not local_part or not _DOMAIN.fullmatch(domain):
        return ""
    if not _DOT_ATOM.fullmatch(local_part) and not _QUOTED_STRING.fullmatch(local_part):
        local_part = _quoted(local_part)
    return f"{local_part}@{domain}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def date_text(message: Message) -> str:
    """Return the date as RFC 5322 writes it; "" when the mail has none."""
    return format_datetime(message.date) if message.date else ""


def one_line(text: str) -> str:
    return _BREAKS.sub(" ", text).strip()
