"""The header section (RFC 5322, 2.2): its fields in their order, and where the body begins."""

from __future__ import annotations

from typing import NamedTuple

from .limits import (
    HEADER_FIELD_MAX_OCTETS,
    HEADER_FIELDS_MAX_COUNT,
    HEADER_SECTION_MAX_OCTETS,
    LimitExceeded,
)

_NAME_OCTETS = frozenset(range(33, 127)) - {ord(":")}  # RFC 5322, 3.6.8: ftext
_BLANKS = b" \t"


class Field(NamedTuple):
    """One header field as it stands in the mail."""

    name: str  # as written
    key: str  # lower case, to look it up by
    body: bytes  # without the colon and the last line end; still folded


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
    section and belongs to the body, as all MUAs have it; an mbox "From " line at the top is passed over.

    Returns:
        The section, and the offset where the body begins.

    Raises:
        LimitExceeded: It is too large, or has too many fields.
    """
    end = len(octets) if end is None else end
    fields: list[Field] = []
    defects: list[str] = []
    position = start
    name, body_start, body_end = b"", 0, 0  # the field being gathered; none while name is empty
    while position < end:
        line_end = octets.find(b"\n", position, end)
        line_end = end if line_end < 0 else line_end
        text_end = line_end - 1 if line_end > position and octets[line_end - 1] == 13 else line_end
        if text_end == position:  # the empty line
            position = line_end + 1
            break
        if octets[position] in _BLANKS and name:
            if not octets[position:text_end].strip():
                defects.append("blank-continuation")
            body_end = text_end
        else:
            colon = _colon_of(octets, position, text_end)
            if colon < 0:
                if _is_mbox_line(octets, position) and not fields and not name:
                    position = line_end + 1
                    continue
                defects.append("header-section-not-ended")
                break
            if name:
                fields.append(_field(name, octets, body_start, body_end))
            name, body_start, body_end = octets[position:colon].rstrip(_BLANKS), colon + 1, text_end
            if len(fields) >= HEADER_FIELDS_MAX_COUNT:
                raise LimitExceeded("header-count")
        position = line_end + 1
        if position - start > HEADER_SECTION_MAX_OCTETS:
            raise LimitExceeded("header-section-size")
    if name:
        fields.append(_field(name, octets, body_start, body_end))
    return HeaderSection(fields, tuple(defects)), min(position, end)


def _field(name: bytes, octets: bytes, body_start: int, body_end: int) -> Field:
    if body_end - body_start > HEADER_FIELD_MAX_OCTETS:
        raise LimitExceeded("header-field-size")
    text = name.decode("ascii")
    return Field(text, text.lower(), octets[body_start:body_end])


def _colon_of(octets: bytes, start: int, end: int) -> int:
    """Return the offset of the colon that ends a field name, or -1 where the line is no field."""
    colon = octets.find(b":", start, end)
    if colon <= start:
        return -1
    name = octets[start:colon].rstrip(_BLANKS)  # RFC 5322, 4.5: obsolete, blanks before the colon
    return colon if name and _NAME_OCTETS.issuperset(name) else -1


def _is_mbox_line(octets: bytes, start: int) -> bool:
    return octets.startswith((b"From ", b">From "), start)
