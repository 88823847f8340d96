"""Files inside a text, as mailers sent them before MIME and Usenet still does: uuencode and yEnc."""

from __future__ import annotations

import re
from typing import NamedTuple

from . import charset
from .transfer import decode_uuencode

# The line after it must be a line of data: "begin 644 copies" may begin a sentence.
_UU_BEGIN = re.compile(
    rb"^begin [0-7]{3,4} ([^\r\n]{1,255})\r?\n(?=[!-M][ -`]{2,120}\r?\n|[` ]?\r?\n)", re.MULTILINE
)
_UU_END = re.compile(rb"^end[ \t]*\r?$", re.MULTILINE)
_Y_BEGIN = re.compile(rb"^=ybegin [^\r\n]*?name=([^\r\n]{1,255})\r?\n(?:=ypart [^\r\n]*\r?\n)?", re.MULTILINE)
_Y_END = re.compile(rb"^=yend [^\r\n]*", re.MULTILINE)
_Y_ESCAPED = re.compile(rb"=(.)", re.DOTALL)
_Y_SHIFTED = bytes((octet - 42) % 256 for octet in range(256))  # yEnc 1.3, "The encoding process"
FILES_MAX_COUNT = 100  # taken out of one text; the rest stays in it


class InlineFile(NamedTuple):
    """One file that stood in a text."""

    name: str
    octets: bytes


def taken_out(octets: bytes) -> tuple[bytes, list[InlineFile]]:
    """Return the text without the files in it, and the files; a file that is not ended stays in the text."""
    files: list[InlineFile] = []
    if b"begin " not in octets:
        return octets, files
    ways = ((b"begin ", _UU_BEGIN, _UU_END, decode_uuencode), (b"=ybegin ", _Y_BEGIN, _Y_END, _decoded_yenc))
    for mark, begin, end, decode in ways:
        if mark not in octets:
            continue
        kept: list[bytes] = []
        position = 0
        for match in begin.finditer(octets):
            if len(files) >= FILES_MAX_COUNT:
                break
            if match.start() < position:
                continue
            ending = end.search(octets, match.end())
            if ending is None:
                break
            name = charset.decode(match[1].strip(), None).text
            files.append(InlineFile(name, decode(octets[match.start() : ending.end()])))
            kept.append(octets[position : match.start()])
            position = ending.end()
        octets = b"".join(kept) + octets[position:]
    return octets, files


def _decoded_yenc(octets: bytes) -> bytes:
    """Return what stands between =ybegin and =yend (yEnc 1.3)."""
    begin, end = _Y_BEGIN.match(octets), _Y_END.search(octets)
    assert begin is not None  # found before
    assert end is not None
    data = octets[begin.end() : end.start()].translate(None, b"\r\n")
    return _Y_ESCAPED.sub(lambda found: bytes([(found[1][0] - 64) % 256]), data).translate(_Y_SHIFTED)
