"""Address lists (RFC 5322, 3.4) of the fields that name recipients. RFC5322.From is mailchute.author's."""

from __future__ import annotations

import re

from mailchute.payload import Mailbox
from mailparser.utils import get_addresses

from .header_section import HeaderSection
from .limits import ADDRESSES_MAX_COUNT
from .words import decode_words, unfolded

# Most fields hold nothing but these two forms; they are read at sight, the rest by mail-parser.
_PLAIN = re.compile(
    r'\s*+(?:"?([^"<>()@,;:\\\[\]=]*+)"?\s*<([^\s<>()@,;:\\"\[\]]++@[^\s<>()@,;:\\"\[\]]++)>'
    r'|([^\s<>()@,;:\\"\[\]]++@[^\s<>()@,;:\\"\[\]]++))\s*+\Z'
)


def mailboxes_of(section: HeaderSection, key: str) -> tuple[Mailbox, ...]:
    """Return the mailboxes of all fields of that (lower-case) name, at most ADDRESSES_MAX_COUNT."""
    found: list[Mailbox] = []
    for body in section.all(key):
        found.extend(read_mailboxes(unfolded(body)))
        if len(found) > ADDRESSES_MAX_COUNT:
            break
    return tuple(found[:ADDRESSES_MAX_COUNT])


def read_mailboxes(text: str) -> list[Mailbox]:
    """Return the mailboxes of one unfolded field body; group names and empty groups are passed over."""
    if not text:
        return []
    plain = [_PLAIN.match(item) for item in text.split(",")]
    if all(plain):
        return [_mailbox(match[1] or "", match[2] or match[3]) for match in plain if match]
    return [_mailbox(name, address) for name, address in get_addresses(text) if address]


def _mailbox(name: str, address: str) -> Mailbox:
    name = decode_words(name).strip()
    local_part, _, domain = address.rpartition("@")
    email = f"{local_part}@{domain.lower()}" if local_part else address
    return Mailbox(name=name if name and name != address else None, email=email)
