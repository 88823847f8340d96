"""Header field bodies as text: unfolded, raw octets found out, encoded words (RFC 2047) decoded."""

from __future__ import annotations

import binascii
import re

from . import charset

# The text may hold blanks and be empty: broken mailers write both. No "?" inside, so that every
# character is looked at once.
_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
_BLANKS = " \t\r\n\x00"


def text_of(body: bytes) -> str:
    """Return a field body as one line of text, with encoded words decoded."""
    return decode_words(unfolded(body))


def unfolded(body: bytes) -> str:
    """Return a field body as one line of text (RFC 5322, 2.2.3), encoded words left as they are."""
    body = body.translate(None, b"\r\n")
    if body.isascii() and b"\x1b" not in body:
        return body.decode("ascii").strip(_BLANKS)
    return charset.decode(body, None).text.strip(_BLANKS)  # RFC 6532 says UTF-8; not all keep to it


def decode_words(text: str) -> str:
    """
    Return text with its encoded words decoded; what cannot be decoded stands as it is.

    White space between two words goes (RFC 2047, 6.2); neighbours of one charset are decoded together,
    because mailers split characters of several octets between them.
    """
    if "=?" not in text:
        return text
    out: list[str] = []
    run: list[bytes] = []
    run_charset = ""
    position = 0
    for match in _WORD.finditer(text):
        gap = text[position : match.start()]
        octets = _octets_of(match[2], match[3])
        if octets is None:
            continue
        name = match[1].partition("*")[0].lower()  # RFC 2231, 5: a language may follow
        if run and (gap.strip() or name != run_charset):
            out.append(charset.decode(b"".join(run), run_charset).text)
            run = []
        if gap.strip() or not position:
            out.append(gap)
        run.append(octets)
        run_charset = name
        position = match.end()
    if run:
        out.append(charset.decode(b"".join(run), run_charset).text)
    out.append(text[position:])
    return _printable("".join(out))


def _octets_of(encoding: str, text: str) -> bytes | None:
    raw = text.encode("utf-8", "surrogateescape")
    if encoding in "qQ":
        return binascii.a2b_qp(raw, header=True)
    try:
        return binascii.a2b_base64(raw + b"===")
    except binascii.Error:
        # One character too many: what comes before it is still good.
        try:
            return binascii.a2b_base64(raw[: len(raw) // 4 * 4])
        except binascii.Error:
            return None


def _printable(text: str) -> str:
    """Return the text without line ends: decoded, they would make two fields of one."""
    return text.replace("\r", " ").replace("\n", " ").replace("\x00", "") if not text.isprintable() else text
