"""The header section (RFC 5322, 2.2): its fields in their order, and where the body begins."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from .limits import (
    HEADER_FIELD_MAX_OCTETS,
    HEADER_FIELDS_MAX_COUNT,
    HEADER_SECTION_MAX_OCTETS,
    LimitExceeded,
)

# A field name is printable ASCII without the colon (RFC 5322, 3.6.8); blanks before the colon are
# obsolete (4.5) and taken. A line that begins with a blank continues the field (2.2.3).
_FIELD = re.compile(rb"([!-9;-~]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)(?:\n|\Z)")
_BLANK_LINE = re.compile(rb"\r?\n")
_LINE = re.compile(rb"([^\n]*+)(?:\n|\Z)")


class Field(NamedTuple):
    """One header field as it stands in the mail."""

    name: str  # as written
    key: str  # lower case, to look it up by
    body: bytes  # what follows the colon; still folded


class HeaderSection:
    """All fields of one entity."""

    __slots__ = ("_by_key", "defects", "fields")

    def __init__(self, fields: list[Field], defects: tuple[str, ...] = ()) -> None:
        self.fields = fields
        self.defects = defects
        self._by_key: dict[str, bytes] = {}
        for field in reversed(fields):
            self._by_key[field.key] = field.body

    def first(self, key: str) -> bytes | None:
        """Return the body of the first field of that (lower-case) name, or None."""
        return self._by_key.get(key)

    def all(self, key: str) -> list[bytes]:
        return [field.body for field in self.fields if field.key == key]


def read_header_section(octets: bytes, start: int = 0, end: int | None = None) -> tuple[HeaderSection, int]:
    """
    Read the header section that begins at `start`.

    Takes lines ended by CRLF or LF. A line that is neither a field nor the continuation of one ends the
    section and belongs to the body, unless a field follows it at once: then it is kept as a field without
    a name. An mbox "From " line at the top is passed over.

    Returns:
        The section, and the offset where the body begins.

    Raises:
        LimitExceeded: It is too large, or has too many fields.
    """
    end = len(octets) if end is None else end
    fields: list[Field] = []
    defects: list[str] = []
    position = start
    while position < end:
        match = _FIELD.match(octets, position, end)
        if match is not None:
            fields.append(_field(*match.groups()))
            position = match.end()
        elif (blank := _BLANK_LINE.match(octets, position, end)) is not None:
            position = blank.end()
            break
        else:
            line = _LINE.match(octets, position, end)
            assert line is not None  # it matches anything
            is_mbox = position == start and line[1].startswith((b"From ", b">From "))
            if not is_mbox and not _FIELD.match(octets, line.end(), end):
                defects.append("header-section-not-ended")
                break
            if not is_mbox:
                defects.append("header-line-without-name")
                fields.append(_field(b"", line[1]))
            position = line.end()
        if len(fields) > HEADER_FIELDS_MAX_COUNT:
            raise LimitExceeded("header-count")
        if position - start > HEADER_SECTION_MAX_OCTETS:
            raise LimitExceeded("header-section-size")
    return HeaderSection(fields, tuple(defects)), position


def _field(name: bytes, body: bytes) -> Field:
    if len(body) > HEADER_FIELD_MAX_OCTETS:
        raise LimitExceeded("header-field-size")
    text, key = _name_of(name)
    return Field(text, key, body)


@lru_cache(maxsize=1_024)
def _name_of(name: bytes) -> tuple[str, str]:
    """Return a field name as written and in lower case: the same few stand in every mail."""
    text = name.decode("ascii")
    return text, text.lower()
