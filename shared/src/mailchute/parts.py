"""The parts of a mail as far as a filter reads them: cheap, bounded, and forgiving of anything."""

from __future__ import annotations

import base64
import binascii
import codecs
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailchute.encoded_words import decode_words

PARTS_MAX_COUNT = 100
DEPTH_MAX_COUNT = 10
TEXT_MAX_OCTETS = 128 * 1024  # of one text part, encoded: what a filter reads, not what is delivered
HEADER_MAX_OCTETS = 16 * 1024  # of one part's header section

_BOUNDARY = re.compile(rb"""boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))""", re.IGNORECASE)
_CHARSET = re.compile(rb"""charset\s*=\s*"?([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)
_FILENAME = re.compile(
    rb"""(?:file)?name\*?(?:0\*?)?\s*=\s*(?:"([^"]{1,300})"|([^\s;"]{1,300}))""", re.IGNORECASE
)
_TYPE = re.compile(rb"\s*([A-Za-z0-9.+_-]{1,60}/[A-Za-z0-9.+_-]{1,60})")
_FIELD = re.compile(
    rb"\n(content-(?:type|transfer-encoding|disposition))[ \t]*:((?:[^\r\n]++|\r?\n[ \t])*)", re.IGNORECASE
)  # begins with a literal: that makes the search several times faster
_AFTER_DELIMITER = (b"", b"-", b" ", b"\t", b"\r", b"\n")
_EMPTY_FIRST_LINE = re.compile(rb"\r?\n")
_EMPTY_LINE = re.compile(rb"(\r?\n)\r?\n")


@dataclass(frozen=True)
class File:
    """An attachment, by what it says of itself."""

    name: str
    media_type: str
    head: bytes  # its first octets, decoded


@dataclass
class Parts:
    """What was found in a mail."""

    text: list[str] = field(default_factory=list)  # of text/plain parts
    html: list[str] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    count: int = 0
    is_cut: bool = False  # there was more than is read


def parts_of(content: bytes) -> Parts:
    """Return the parts of a mail; raises nothing, and reads a bounded share of it."""
    parts = Parts()
    header_end, body_at = cut_of(content)
    _read(content, body_at, len(content), content[:header_end], parts, 0)
    return parts


def cut_of(content: bytes) -> tuple[int, int]:
    """Return where the header section ends, and where the body starts (RFC 5322, 2.1)."""
    if first := _EMPTY_FIRST_LINE.match(content):
        return 0, first.end()
    gap_at = content.find(b"\n\r\n")
    bare_at = content.find(b"\n\n", 0, gap_at if gap_at >= 0 else len(content))
    if bare_at >= 0:
        return bare_at, bare_at + 2
    if gap_at < 0:
        return len(content), len(content)
    return gap_at - content.startswith(b"\r", gap_at - 1), gap_at + 3


def _read(content: bytes, start: int, end: int, section: bytes, parts: Parts, depth: int) -> None:
    parts.count += 1
    if parts.count > PARTS_MAX_COUNT or depth > DEPTH_MAX_COUNT:
        parts.is_cut = True
        return
    fields = {match[1].lower(): match[2] for match in _FIELD.finditer(b"\n" + section[:HEADER_MAX_OCTETS])}
    declared = fields.get(b"content-type", b"text/plain")
    match = _TYPE.match(declared)
    media_type = match[1].decode("ascii").lower() if match else "text/plain"
    boundary = _BOUNDARY.search(declared) if media_type.startswith("multipart/") else None
    if boundary is not None:
        for low, high in _entities(content, start, end, boundary[1] or boundary[2]):
            if parts.count > PARTS_MAX_COUNT:
                return
            gap = _EMPTY_FIRST_LINE.match(content, low) or _EMPTY_LINE.search(
                content, low, min(high, low + HEADER_MAX_OCTETS)
            )
            body_at = gap.end() if gap else high
            _read(content, body_at, high, content[low:body_at], parts, depth + 1)
        return
    encoding = fields.get(b"content-transfer-encoding", b"").strip().lower()
    disposition = fields.get(b"content-disposition", b"").strip().lower()
    name = _filename(fields.get(b"content-disposition", b"")) or _filename(declared)
    if media_type in ("text/plain", "text/html") and not disposition.startswith(b"attachment"):
        parts.is_cut = parts.is_cut or end - start > TEXT_MAX_OCTETS
        octets = _decoded(content[start : min(end, start + TEXT_MAX_OCTETS)], encoding)
        (parts.html if media_type == "text/html" else parts.text).append(_text(octets, declared))
    elif name or not media_type.startswith("text/"):
        head = _decoded(content[start : min(end, start + 1024)], encoding)[:512]
        parts.files.append(File(name, media_type, head))


def _entities(content: bytes, start: int, end: int, boundary: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each entity between the delimiters starts and ends (RFC 2046, 5.1.1)."""
    delimiter = b"--" + boundary
    at = start if content.startswith(delimiter, start) else _delimiter_after(content, start, end, delimiter)
    while at >= 0:
        line_end = content.find(b"\n", at, end)
        if line_end < 0 or content.startswith(b"--", at + len(delimiter)):
            return
        following = _delimiter_after(content, line_end, end, delimiter)
        yield line_end + 1, following - 1 if following >= 0 else end
        at = following


def _delimiter_after(content: bytes, start: int, end: int, delimiter: bytes) -> int:
    """Return where the next line starts that is this delimiter and not a longer one; -1 when none is."""
    at = content.find(b"\n" + delimiter, start, end)
    while at >= 0 and content[at + 1 + len(delimiter) : at + 2 + len(delimiter)] not in _AFTER_DELIMITER:
        at = content.find(b"\n" + delimiter, at + 1, end)
    return at + 1 if at >= 0 else -1


def _filename(field_body: bytes) -> str:
    match = _FILENAME.search(field_body)
    if match is None:
        return ""
    return decode_words((match[1] or match[2]).decode("utf-8", "replace")).strip()


def _decoded(octets: bytes, encoding: bytes) -> bytes:
    if encoding == b"base64":
        octets = octets.translate(None, b"\r\n \t")
        try:
            return base64.b64decode(octets[: len(octets) // 4 * 4])
        except (binascii.Error, ValueError):
            return b""
    return quopri.decodestring(octets) if encoding == b"quoted-printable" else octets


def _text(octets: bytes, declared: bytes) -> str:
    match = _CHARSET.search(declared)
    name = match[1].decode("ascii") if match else "utf-8"
    try:
        if not codecs.lookup(name)._is_text_encoding or name.lower() in ("idna", "unicode_escape"):
            name = "latin-1"
        return octets.decode(name, "replace")
    except (LookupError, ValueError):
        return octets.decode("latin-1")
