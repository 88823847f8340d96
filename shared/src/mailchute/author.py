"""
The author of a mail: the one reading of RFC5322.From, for DMARC and for the payload alike.

Programs disagree about odd From fields, and forgers live on that (Chen et al., "Composition Kills",
USENIX Security 2020). So whatever two of them could read differently is ambiguous: it is shown,
and never authenticated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import msgspec

from mailchute.mailboxes import FIELD_MAX_OCTETS, MAILBOX_MAX_COUNT, read_field, read_mailboxes
from mailchute.payload import Mailbox

PLAIN_MAX_OCTETS = 200

__all__ = ["Author", "author_of", "read_mailboxes"]


class Author(msgspec.Struct, frozen=True, kw_only=True):
    """Who the mail says wrote it. Says, not proves: see `auth.sender`."""

    mailboxes: tuple[Mailbox, ...] = ()  # as displayed, in the order written
    address: str | None = None  # the one address, its domain in lower case; None when ambiguous
    is_ambiguous: bool = True
    reason: str | None = "no From field"  # why it is ambiguous; None when it is not

    @property
    def domain(self) -> str | None:
        """The domain of the one address; None when ambiguous."""
        return self.address.rpartition("@")[2] if self.address else None


def author_of(header_section: bytes) -> Author:
    """
    Return the author that this header section names (RFC 5322, 3.6.2; RFC 9989, 5.3.1).

    Args:
        header_section: The header fields as received, with whatever line ends they have, and
            without trace fields of ours. What follows an empty line is not looked at.
    """
    found = _from_fields(_lines_of(header_section))
    if len(found.bodies) != 1:
        mailboxes = tuple(m for body in found.bodies for m in read_mailboxes(body))
        reason = f"{len(found.bodies)} From fields" if found.bodies else "no From field"
        return Author(mailboxes=mailboxes[:MAILBOX_MAX_COUNT], reason=reason)
    body = found.bodies[0]
    mailboxes, fault = _read_plain(body) or read_field(body)
    fault = found.fault or _line_end_fault(header_section, found) or fault
    if fault is None and len(mailboxes) != 1:
        fault = f"{len(mailboxes)} addresses"
    if fault is not None:
        return Author(mailboxes=mailboxes, reason=fault)
    return Author(mailboxes=mailboxes, address=mailboxes[0].email, is_ambiguous=False, reason=None)


# The From of most mails: nobody reads it in another way. read_field reads the rest, in ten times the time.
_PLAIN = re.compile(
    rb"""[ ]*(?:"([A-Za-z0-9 .,'&!-]*)"[ ]+|([A-Za-z0-9 .'&!-]*))"""
    rb"""<([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)>[ ]*"""
)
_CRLF_LINES = re.compile(rb"\r?\n")
_ANY_LINES = re.compile(rb"\r\n|\r|\n")
_NOT_GRAPHIC = bytes(o for o in range(256) if not 33 <= o <= 126)
_OTHER_STARTS = frozenset(bytes((o,)) for o in range(33, 127)) - {b"f", b"F", b":"}
_HIDDEN = re.compile(rb"\s+from\s*:.*@", re.IGNORECASE | re.DOTALL)  # a folded line that reads as From


def _lines_of(header_section: bytes) -> list[bytes]:
    if header_section.count(b"\n") == header_section.count(b"\r\n"):
        return header_section.split(b"\r\n")
    return _CRLF_LINES.split(header_section)


def _read_plain(body: bytes) -> tuple[tuple[Mailbox, ...], None] | None:
    """Return the one mailbox of a From field that holds nothing to think about; None of any other."""
    match = _PLAIN.fullmatch(body)
    if match is None or len(body) > PLAIN_MAX_OCTETS:
        return None
    domain = match[4].decode("ascii").lower()
    if any(not 0 < len(label) <= 63 or "-" in (label[0], label[-1]) for label in domain.split(".")):
        return None
    name = (match[1].strip() if match[1] is not None else b" ".join(match[2].split())).decode("ascii")
    return (Mailbox(name=name or None, email=f"{match[3].decode('ascii')}@{domain}"),), None


@dataclass
class _Found:
    bodies: list[bytes] = field(default_factory=list)
    fault: str | None = None


def _from_fields(lines: list[bytes]) -> _Found:
    found = _Found()
    is_after_nonsense = in_from = False
    name_alone = b""  # a line without a colon: nonsense, or a name whose colon was folded away
    for number, line in enumerate(lines):
        if not line:
            break
        if line[:1] in (b" ", b"\t"):
            if _HIDDEN.match(line):
                found.fault = "a folded line that reads as a From field"
            if in_from and len(found.bodies[-1]) <= FIELD_MAX_OCTETS:
                found.bodies[-1] += b"\r\n" + line
            if in_from or not name_alone:
                continue
            name, colon, body = (name_alone + line).partition(b":")
            name_alone = b""
        elif line[:1] in _OTHER_STARTS and b":" in line:
            in_from, name_alone = False, b""  # the name of another field: nothing to look at
            continue
        else:
            name, colon, body = line.partition(b":")
            name_alone = b"" if colon else line
        if not colon:
            is_after_nonsense = is_after_nonsense or not (number == 0 and line.startswith(b"From "))
        in_from = bool(colon) and name.translate(None, _NOT_GRAPHIC).lower() == b"from"
        if in_from:
            found.bodies.append(body)
            if len(name) != len(b"From"):
                found.fault = "white space or control characters in the field name"
            elif is_after_nonsense:
                found.fault = "From stands after a line that is no header field"
    return found


def _line_end_fault(header_section: bytes, found: _Found) -> str | None:
    """Say whether readers that end lines at a bare CR see another From."""
    if header_section.count(b"\r") == header_section.count(b"\r\n"):
        return None
    other = _from_fields(_ANY_LINES.split(header_section))
    is_same = other.fault is None and [b.split() for b in other.bodies] == [b.split() for b in found.bodies]
    return None if is_same else "a bare CR hides a From field"
