"""
The MIME tree (RFC 2045-2049), read by one walk over the octets.

An entity keeps offsets into the octets it was read from; a body is decoded when somebody asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from .header_section import HeaderSection, read_header_section
from .limits import DEPTH_MAX_COUNT, NESTED_MAIL_MAX_COUNT, PARTS_MAX_COUNT, LimitExceeded
from .parameters import read_parameters
from .transfer import IDENTITY, decode_transfer
from .words import unfolded

MAIL_TYPES = frozenset({"message/rfc822", "message/global", "message/news"})  # RFC 2046, 5.2.1; RFC 6532, 3.7


@dataclass(slots=True)
class Entity:
    """One entity: its header section, the range of its body, and the entities inside."""

    section: HeaderSection
    octets: bytes
    start: int  # of the body in octets
    end: int
    media_type: str  # lower case; what it defaults to when none is declared or it makes no sense
    parameters: dict[str, str]
    encoding: str  # token of Content-Transfer-Encoding, lower case
    depth: int
    children: list[Entity] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)

    @property
    def is_multipart(self) -> bool:
        """Whether it was read as parts: a multipart without its boundary is read as a text."""
        return bool(self.children) and self.media_type.startswith("multipart/")

    @property
    def is_mail(self) -> bool:
        return self.media_type in MAIL_TYPES

    def body(self) -> bytes:
        """Return the body's octets, its transfer encoding undone."""
        return decode_transfer(self.octets[self.start : self.end], self.encoding)

    def all_defects(self) -> Iterator[str]:
        """Yield what is wrong with the structure, here and below."""
        yield from self.defects
        for child in self.children:
            yield from child.all_defects()

    def leaves(self) -> Iterator[Entity]:
        """Yield the entities without parts, in the order of the mail; a nested mail counts as one."""
        if not self.is_multipart:
            yield self
            return
        for child in self.children:
            yield from child.leaves()


@dataclass(slots=True)
class _Walk:
    """What the whole tree may still cost."""

    parts_left: int = PARTS_MAX_COUNT
    nesting: int = 0  # how many mails deep it is now


def read_mail(octets: bytes, start: int = 0, end: int | None = None) -> Entity:
    """
    Return the tree of the mail in octets[start:end].

    Raises:
        LimitExceeded: It is too deep, or has too many parts or header fields.
    """
    return _read(octets, start, len(octets) if end is None else end, "text/plain", 0, _Walk())


def _read(octets: bytes, start: int, end: int, default_type: str, depth: int, walk: _Walk) -> Entity:
    if depth > DEPTH_MAX_COUNT:
        raise LimitExceeded("depth")
    walk.parts_left -= 1
    if walk.parts_left < 0:
        raise LimitExceeded("parts")
    section, body_start = read_header_section(octets, start, end)
    media_type, parameters = _content_type(section, default_type)
    encoding = _encoding_of(section.first("content-transfer-encoding") or b"")
    entity = Entity(section, octets, body_start, end, media_type, parameters, encoding, depth)
    entity.defects.extend(section.defects)
    if media_type.startswith("multipart/"):
        _read_parts(entity, walk)
    elif media_type in MAIL_TYPES or media_type == "message/external-body":  # RFC 2046, 5.2.3: a phantom mail
        _read_nested(entity, walk)
    return entity


@lru_cache(maxsize=256)
def _encoding_of(body: bytes) -> str:
    return unfolded(body).partition(";")[0].strip().lower()


def _content_type(section: HeaderSection, default_type: str) -> tuple[str, dict[str, str]]:
    body = section.first("content-type")
    if body is None:
        return default_type, {}
    media_type, parameters = read_parameters(body)
    if not media_type:
        return default_type, parameters
    main, _, sub = media_type.partition("/")
    if not main or not sub or " " in media_type:
        return _BARE_TYPES.get(media_type, "application/octet-stream"), parameters  # RFC 2049, 2
    return media_type, parameters


# How text was declared before MIME was a standard, and by programs that never read it.
_BARE_TYPES = {"text": "text/plain", "plain": "text/plain", "ascii": "text/plain", "html": "text/html"}


def _read_parts(entity: Entity, walk: _Walk) -> None:
    declared = entity.parameters.get("boundary", "").encode("utf-8", "surrogateescape")
    # RFC 2046, 5.1.5
    default_type = "message/rfc822" if entity.media_type == "multipart/digest" else "text/plain"
    ranges, closed = _found_ranges(entity, declared)
    if not ranges:
        entity.defects.append("boundary-not-found")
    elif not closed:
        entity.defects.append("multipart-not-closed")
    for start, end in ranges:
        entity.children.append(_read(entity.octets, start, end, default_type, entity.depth + 1, walk))


def _found_ranges(entity: Entity, boundary: bytes) -> _Ranges:
    """Look for the boundary as declared, without the blanks at its end, with text after it, by its looks."""
    found: _Ranges = [], False
    trimmed = boundary.rstrip()
    for delimiter, is_strict in ((boundary, True), (trimmed, True), (trimmed, False)) if trimmed else ():
        found = _ranges(entity.octets, entity.start, entity.end, b"--" + delimiter, is_strict)
        if found[0]:
            return found
    guessed = _LOOKS_LIKE_PART.search(entity.octets, entity.start, entity.end)
    if guessed is not None:
        entity.defects.append("boundary-guessed")
        found = _ranges(entity.octets, entity.start, entity.end, guessed[1].rstrip(), True)
    return found


# A line that begins with two hyphens right before a field of MIME: the boundary, whatever was declared.
_LOOKS_LIKE_PART = re.compile(
    rb"^(--[^\r\n]{0,200})\r?\n(?=content-[a-z-]{1,40}:)", re.IGNORECASE | re.MULTILINE
)


_Ranges = tuple[list[tuple[int, int]], bool]


def _ranges(octets: bytes, start: int, end: int, delimiter: bytes, is_strict: bool) -> _Ranges:
    """Return the ranges between delimiter lines (RFC 2046, 5.1.1), and whether the last one closes."""
    ranges: list[tuple[int, int]] = []
    part_start = -1
    position = start
    while True:
        found = octets.find(delimiter, position, end)
        if found < 0:
            break
        position = found + len(delimiter)
        if found != start and octets[found - 1] not in b"\r\n":
            continue
        line_end = octets.find(b"\n", position, end)
        line_end = end if line_end < 0 else line_end
        rest = octets[position:line_end].rstrip()
        if rest and rest != b"--":
            if is_strict or not rest.startswith((b" ", b"\t", b"--")):
                continue
            rest = b"--" if rest.startswith(b"--") else b""
        if part_start >= 0:
            ranges.append((part_start, max(part_start, _before_line_end(octets, found))))
        if rest:
            return ranges, True
        part_start = position = min(line_end + 1, end)
    if part_start >= 0:
        ranges.append((part_start, end))
    return ranges, False


def _before_line_end(octets: bytes, position: int) -> int:
    """Return the offset without the line end before it: that belongs to the delimiter."""
    if octets[position - 1 : position] == b"\n":
        position -= 1
        if octets[position - 1 : position] == b"\r":
            position -= 1
    elif octets[position - 1 : position] == b"\r":
        position -= 1
    return position


def _read_nested(entity: Entity, walk: _Walk) -> None:
    """Read the mail inside; one that is encoded (forbidden by RFC 2046, 5.2.1, and done) is decoded first."""
    walk.nesting += 1
    if walk.nesting > NESTED_MAIL_MAX_COUNT:
        raise LimitExceeded("nested-mails")
    if entity.encoding in IDENTITY:
        octets, start, end = entity.octets, entity.start, entity.end
    else:
        octets = entity.body()
        start, end = 0, len(octets)
    entity.children.append(_read(octets, start, end, "text/plain", entity.depth + 1, walk))
    walk.nesting -= 1
