"""The mail as a scan looks at it: as received, cut once for all checks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from mailchute.author import Author, author_of
from mailchute.envelope import Path
from mailchute.mail import MailObject
from mailchute.parts import cut_of

from .body import Body

HEADER_SECTION_MAX_OCTETS = 256 * 1024  # looked at; what is beyond is no header section any more
FIELD_MAX_COUNT = 1_000

Field = tuple[bytes, bytes]  # name, and value with its folds and line end as dkimpy wants them


@dataclass(frozen=True)
class Message:
    """
    One mail and its envelope.

    Args:
        content: As received: without our own trace fields.
        client_ip: "" when not known.
    """

    content: bytes
    client_ip: str
    helo: str
    reverse_path: Path | None  # None: the null reverse-path
    recipient: Path | None = None  # the forward-path; None when not known
    account_id: str = ""  # whose mail it is; "" when not known
    listed_by: tuple[str, ...] = ()  # DNS lists of which the ingress knows that they list the client

    @classmethod
    def of(cls, mail: MailObject) -> Message:
        """Return the message of a mail object whose content is resolved to octets."""
        assert isinstance(mail.content, bytes)
        envelope = mail.envelope
        return cls(
            content=mail.content[mail.trace_octets :],
            client_ip=envelope.client_ip,
            helo=envelope.helo,
            reverse_path=envelope.reverse_path,
            recipient=envelope.forward_path,
            account_id=mail.alias.account_id,
            listed_by=envelope.listed_by,
        )

    @property
    def recipient_domain(self) -> str:
        return self.recipient.domain if self.recipient else ""

    @cached_property
    def _cut(self) -> tuple[int, int]:
        """Where the header section ends, and where the body starts."""
        return cut_of(self.content)

    @cached_property
    def header_section(self) -> bytes:
        return self.content[: min(self._cut[0], HEADER_SECTION_MAX_OCTETS)]

    @cached_property
    def body(self) -> Body:
        return Body(self.content, self._cut[1])

    @cached_property
    def author(self) -> Author:
        return author_of(self.header_section)

    @cached_property
    def fault(self) -> str | None:
        """Why the header section cannot be signed text; None when it can (RFC 5322, 2.2)."""
        if self._cut[0] > HEADER_SECTION_MAX_OCTETS:
            return "the header section is too long"
        if len(self.fields) > FIELD_MAX_COUNT:
            return "too many header fields"
        return self._fields[1]

    @property
    def fields(self) -> list[Field]:
        """The header fields in their order."""
        return self._fields[0]

    @cached_property
    def _fields(self) -> tuple[list[Field], str | None]:
        fields: list[Field] = []
        fault = None
        for number, line in enumerate(_unfolded_lines(self.header_section)):
            name, colon, value = line.partition(b":")
            if colon and _NAME.fullmatch(name):
                fields.append((name, value + b"\r\n"))
            elif not (number == 0 and line.startswith(b"From ")):  # an mbox separator is no fault
                fault = "a line that is no header field"
        return fields, fault

    @cached_property
    def names(self) -> list[bytes]:
        """The names of the fields in their order, in lower case and without white space."""
        return [name.lower().rstrip() for name, _ in self.fields]

    def relaxed_field(self, place: int) -> Field:
        """Return the field at this place in relaxed form (RFC 6376, 3.4.2); made once for all signatures."""
        kept = self._relaxed.get(place)
        if kept is None:
            kept = self._relaxed[place] = relaxed(self.names[place], self.fields[place][1])
        return kept

    @cached_property
    def _relaxed(self) -> dict[int, Field]:
        return {}

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of every field of this lower-case name, topmost first."""
        return [value for (_, value), known in zip(self.fields, self.names, strict=True) if known == name]


_NAME = re.compile(rb"[\x21-\x39\x3b-\x7e]+[ \t]*")  # RFC 5322, 2.2 and 4.5.3
_FIELD_START = re.compile(rb"\r\n(?![ \t])")
_LINE_END = re.compile(rb"\r?\n")


def relaxed(name: bytes, value: bytes) -> Field:
    """Return a field in relaxed form (RFC 6376, 3.4.2); its name is in lower case already."""
    value = value.replace(b"\r\n", b"")
    if b"\t" in value:
        value = value.replace(b"\t", b" ")
    while b"  " in value:  # halves each run: linear
        value = value.replace(b"  ", b" ")
    return name, value.strip() + b"\r\n"


def _unfolded_lines(header_section: bytes) -> list[bytes]:
    """Return one item a field, its folds still in it and each a CRLF."""
    if header_section.count(b"\n") != header_section.count(b"\r\n"):
        header_section = _LINE_END.sub(b"\r\n", header_section)
    return _FIELD_START.split(header_section) if header_section else []
