"""Encoded words (RFC 2047): text in header fields that ASCII cannot hold."""

from __future__ import annotations

import binascii
import codecs
import re

_WORD = re.compile(r"=\?([A-Za-z0-9_.:+-]{1,40})(?:\*[A-Za-z0-9-]*)?\?([BbQq])\?([^?\s]*)\?=")
_GAP = re.compile(r"(?<=\?=)[ \t\r\n]+(?==\?)")  # space between two encoded words is not shown (6.2)
_SPACE = re.compile(r"[\r\n]+[ \t]*")


def decode_words(text: str) -> str:
    """
    Return `text` with its encoded words decoded and its folds undone.

    What cannot be decoded stays as it is written; a character that is broken becomes U+FFFD.
    Takes time linear in the text's length.
    """
    if "=?" not in text:
        return _SPACE.sub(" ", text)
    shown: list[str] = []
    pending, charset = b"", ""  # a character may be cut in two between words of one charset
    at = 0
    text = _GAP.sub("", text)
    for match in _WORD.finditer(text):
        octets = _octets_of(match[2], match[3])
        if octets is None or not _is_text_charset(match[1]):
            continue
        if match.start() != at or match[1].lower() != charset:
            shown += (_decoded(pending, charset), text[at : match.start()])
            pending, charset = b"", match[1].lower()
        pending += octets
        at = match.end()
    shown += (_decoded(pending, charset), text[at:])
    return _SPACE.sub(" ", "".join(shown))


def _octets_of(encoding: str, encoded: str) -> bytes | None:
    raw = encoded.encode("utf-8", "surrogateescape")
    if encoding in "Qq":
        return binascii.a2b_qp(raw, header=True)
    try:
        return binascii.a2b_base64(raw + b"=" * (-len(raw) % 4))
    except binascii.Error:
        return None


def _decoded(octets: bytes, charset: str) -> str:
    return octets.decode(charset, "replace") if octets else ""


def _is_text_charset(name: str) -> bool:
    """Say whether this is a character set a mail may name, and not another codec of Python's."""
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return False
    is_text: bool = found._is_text_encoding
    return is_text and found.name not in ("idna", "punycode", "unicode_escape", "raw_unicode_escape", "utf-7")
