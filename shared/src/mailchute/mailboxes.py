"""Mailboxes of a header field (RFC 5322, 3.4): forgiving in what is shown, strict in what is trusted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mailchute.encoded_words import decode_words
from mailchute.payload import Mailbox

FIELD_MAX_OCTETS = 8 * 1024  # read of one field; the longest honest From is some hundred octets
MAILBOX_MAX_COUNT = 100  # shown of one field; the rest would only fill the payload

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


def read_mailboxes(body: bytes) -> tuple[Mailbox, ...]:
    """Return the mailboxes of a field body (From, To, Cc, Reply-To …) as a reader would show them."""
    return read_field(body)[0]


def read_field(body: bytes) -> tuple[tuple[Mailbox, ...], str | None]:
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
            email, name = "".join(draft.phrase).strip(), _comments_of(draft)
        else:
            email, name = "".join(draft.address).strip(), _name_of(draft.phrase) or _comments_of(draft)
            if not draft.is_named:
                self.blame("a display name that could be read as an address")
        if not email and not name:
            return
        shown = _BLANK.sub(" ", decode_words(name)).strip()
        if "=?" in name and not {"<", ">"}.isdisjoint(shown):
            self.blame("an encoded display name that hides an address")
        if not _ADDRESS.fullmatch(email) or "=?" in email or not (self.is_utf8 or email.isascii()):
            self.blame("no well-formed address")
        local_part, at, domain = email.rpartition("@")
        email = f"{local_part}@{domain.lower()}" if at else email
        self.mailboxes.append(Mailbox(name=shown or None, email=email))


def _name_of(phrase: list[str]) -> str:
    """
    Return the display name with its quotation undone (RFC 5322, 3.2.4).

    White space between words counts as one blank; within quotation marks it is part of the name, but
    for the line ends of folds.
    """
    return "".join(_unquoted(token) for token in phrase).strip()


def _unquoted(token: str) -> str:
    if token[:1] == '"':
        return _QUOTED_PAIR.sub(r"\1", _FOLD.sub("", token[1:-1]))
    return " " if token.isspace() else token


def _comments_of(draft: _Draft) -> str:
    return " ".join(" ".join(draft.comments).split())


_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_BLANK = re.compile(r"\s")
