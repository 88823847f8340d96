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

from mailchute.encoded_words import decode_words
from mailchute.payload import Mailbox

FIELD_MAX_OCTETS = 8 * 1024  # of one From field; the longest honest one is some hundred octets
MAILBOX_MAX_COUNT = 100  # shown of one field; the rest would only fill the payload


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
    found = _from_fields(_CRLF_LINES.split(header_section))
    if len(found.bodies) != 1:
        mailboxes = tuple(m for body in found.bodies for m in read_mailboxes(body))
        reason = f"{len(found.bodies)} From fields" if found.bodies else "no From field"
        return Author(mailboxes=mailboxes[:MAILBOX_MAX_COUNT], reason=reason)
    body = found.bodies[0]
    mailboxes, fault = _read(body)
    fault = found.fault or _line_end_fault(header_section, found) or fault
    if fault is None and len(mailboxes) != 1:
        fault = f"{len(mailboxes)} addresses"
    if fault is not None:
        return Author(mailboxes=mailboxes, reason=fault)
    return Author(mailboxes=mailboxes, address=mailboxes[0].email, is_ambiguous=False, reason=None)


def read_mailboxes(body: bytes) -> tuple[Mailbox, ...]:
    """Return the mailboxes of a field body (From, To, Cc, Reply-To …) as a reader would show them."""
    return _read(body)[0]


# ── finding the field ────────────────────────────────────────────────────────────────────────────

_CRLF_LINES = re.compile(rb"\r?\n")
_ANY_LINES = re.compile(rb"\r\n|\r|\n")
_NOT_GRAPHIC = bytes(o for o in range(256) if not 33 <= o <= 126)
_OTHER_STARTS = frozenset(bytes((o,)) for o in range(33, 127)) - {b"f", b"F", b":"}
_HIDDEN = re.compile(rb"\s+from\s*:.*@", re.IGNORECASE | re.DOTALL)  # a folded line that reads as From


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


# ── reading the field body ───────────────────────────────────────────────────────────────────────

_TOKEN = re.compile(
    r'(?P<space>[ \t\r\n]+)|(?P<quoted>"[^"\\]*(?:\\.[^"\\]*)*")'
    r'|(?P<atom>[^ \t\r\n"(),:;<>@\[\]\\\x00-\x1f\x7f]+)|(?P<special>.)',
    re.DOTALL,
)
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]"  # RFC 5322, 3.2.3; RFC 6532, 3.2
_LABEL = (
    r"[A-Za-z0-9_\u0080-\U0010ffff](?:[A-Za-z0-9_\u0080-\U0010ffff-]{0,61}[A-Za-z0-9_\u0080-\U0010ffff])?"
)
_ADDRESS = re.compile(
    rf'(?:{_ATEXT}+(?:\.{_ATEXT}+)*|"[A-Za-z0-9.!#$%&\'*+/=?^_`{{|}}~-]+")'
    rf"@(?:{_LABEL}(?:\.{_LABEL})*|\[[A-Fa-f0-9:.IPv]+\])"
)
_DECEIVING = frozenset('<>@,;:"\\')  # in a comment or a decoded name: syntax to some readers


@dataclass
class _Draft:
    """One mailbox while it is read."""

    phrase: list[str] = field(default_factory=list)  # the display name's tokens, or a bare address
    comments: list[str] = field(default_factory=list)
    address: list[str] | None = None  # what stood between the angle brackets
    is_named: bool = True  # the phrase holds only what a display name may


def _read(body: bytes) -> tuple[tuple[Mailbox, ...], str | None]:
    """Return the mailboxes, and what about them is ambiguous (None: nothing)."""
    reader = _Reader()
    try:
        text = body[:FIELD_MAX_OCTETS].decode()
    except UnicodeDecodeError:
        text, reader.is_utf8 = body[:FIELD_MAX_OCTETS].decode("latin-1"), False
    if len(body) > FIELD_MAX_OCTETS:
        reader.blame("longer than any address")
    reader.read(text)
    return tuple(reader.mailboxes[:MAILBOX_MAX_COUNT]), reader.fault


class _Reader:
    """Reads an address list (RFC 5322, 3.4), forgiving in what it shows and strict in what it trusts."""

    def __init__(self) -> None:
        self.mailboxes: list[Mailbox] = []
        self.fault: str | None = None
        self.is_utf8 = True
        self._draft = _Draft()
        self._is_in_angle = False

    def blame(self, fault: str) -> None:
        self.fault = self.fault or fault

    def read(self, text: str) -> None:
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            assert match is not None  # the last alternative takes any character
            at, lexeme = match.end(), match.group()
            if match.lastgroup == "special" and lexeme == "(":
                at = self._comment(text, at)
            elif match.lastgroup == "special" and lexeme == '"':
                self.blame("a quotation mark without its pair")
                self._word(text[at:])
                break
            elif match.lastgroup == "special":
                self._special(lexeme)
            else:
                self._word(lexeme)
        self._finish()

    def _word(self, lexeme: str) -> None:
        if self._is_in_angle:
            assert self._draft.address is not None
            self._draft.address.append(lexeme)
        elif self._draft.address is None:
            self._draft.phrase.append(lexeme)
        elif not lexeme.isspace():
            self.blame("text after the address")

    def _special(self, lexeme: str) -> None:
        if lexeme == "<" and self._draft.address is None:
            self._draft.address, self._is_in_angle = [], True
        elif lexeme == ">" and self._is_in_angle:
            self._is_in_angle = False
        elif lexeme in ",;" and not self._is_in_angle:
            if lexeme == ";":
                self.blame("group syntax")
            self._finish()
        elif lexeme == ":" and not self._is_in_angle:
            self.blame("group syntax")
            self._draft = _Draft()
        else:
            if lexeme < " " or lexeme == "\x7f":
                self.blame("a control character")
            self._draft.is_named = self._draft.is_named and self._is_in_angle
            self._word(lexeme)

    def _comment(self, text: str, at: int) -> int:
        """Take a comment whose "(" stood before `at`; return where it ends."""
        if self._is_in_angle:
            self.blame("a comment inside the address")
        depth, start = 1, at
        while at < len(text) and depth:
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            at += 2 if text[at] == "\\" else 1
        content = text[start : at - 1 if depth == 0 else at]
        if depth or not _DECEIVING.isdisjoint(content):
            self.blame("a comment that could be read as an address")
        self._draft.comments.append(content)
        return at

    def _finish(self) -> None:
        draft, self._draft = self._draft, _Draft()
        if self._is_in_angle:
            self._is_in_angle = False
            self.blame("an angle bracket without its pair")
        if draft.address is None:
            email, name = "".join(draft.phrase).strip(), " ".join(draft.comments)
        else:
            email, name = "".join(draft.address).strip(), _name_of(draft.phrase) or " ".join(draft.comments)
            if not draft.is_named:
                self.blame("a display name that could be read as an address")
        if not email and not name:
            return
        shown = " ".join(decode_words(name).split())
        if "=?" in name and not {"<", ">"}.isdisjoint(shown):
            self.blame("an encoded display name that hides an address")
        if not _ADDRESS.fullmatch(email) or "=?" in email or not (self.is_utf8 or email.isascii()):
            self.blame("no well-formed address")
        local_part, at, domain = email.rpartition("@")
        email = f"{local_part}@{domain.lower()}" if at else email
        self.mailboxes.append(Mailbox(name=shown or None, email=email))


def _name_of(phrase: list[str]) -> str:
    """Return the display name with its quotation undone (RFC 5322, 3.2.4)."""
    return "".join(_QUOTED_PAIR.sub(r"\1", t[1:-1]) if t[:1] == '"' else t for t in phrase).strip()


_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
