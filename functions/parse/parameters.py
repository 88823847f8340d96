"""Parameters of MIME header fields (RFC 2045, 5.1), with the continuations and charsets of RFC 2231."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from . import charset
from .limits import PARAMETERS_MAX_COUNT, LimitExceeded
from .words import decode_words, unfolded

# A value may be quoted, or run to the next semicolon: mailers leave blanks in unquoted file names.
_PARAMETER = re.compile(r';\s*+([^\s=;"]++)\s*+=\s*+("(?:[^"\\]++|\\.)*+(?:"|\Z)|[^;]*+)', re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_COMMENT = re.compile(r"\([^()]*+\)")
_SECTION = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?\Z")
_TOKEN = re.compile(r"[^\s;()<>@,\"\\\[\]?=]++")
_FREE_TEXT = ("filename", "name")  # may hold parentheses that are no comment
_KNOWN_MAX_OCTETS = 80  # "text/html; charset=utf-8" stands in every other mail; a boundary in one


def read_parameters(body: bytes) -> tuple[str, dict[str, str]]:
    """
    Return the value before the first semicolon, in lower case, and the parameters by lower-case name.

    Raises:
        LimitExceeded: There are too many.
    """
    if len(body) > _KNOWN_MAX_OCTETS:
        return _read(body)
    value, parameters = _known(body)
    return value, dict(parameters)


def _read(body: bytes) -> tuple[str, dict[str, str]]:
    text = unfolded(body)
    head, semicolon, _ = text.partition(";")
    value = _COMMENT.sub("", head).strip().lower()
    parameters: dict[str, str] = {}
    if not semicolon:
        return value, parameters
    sections: dict[str, dict[int, tuple[bool, str]]] = {}
    for count, match in enumerate(_PARAMETER.finditer(text, len(head))):
        if count >= PARAMETERS_MAX_COUNT:
            raise LimitExceeded("parameters")
        name = match[1].lower()
        plain = _value(name, match[2])
        section = _SECTION.match(name) if "*" in name else None
        if section is None:
            parameters.setdefault(name, decode_words(plain))
        else:
            number = int(section[2] or 0)
            sections.setdefault(section[1], {}).setdefault(number, (section[3] is not None, plain))
    for name, numbered in sections.items():
        parameters[name] = _joined(numbered)
    return value, parameters


_known = lru_cache(maxsize=512)(_read)


def _value(name: str, raw: str) -> str:
    if raw.startswith('"'):
        inner = raw[1:-1] if len(raw) > 1 and raw.endswith('"') else raw[1:]
        return _QUOTED_PAIR.sub(r"\1", inner) if "\\" in inner else inner
    text = raw.strip()
    if name.partition("*")[0] not in _FREE_TEXT and "(" in text:
        text = _COMMENT.sub("", text).strip()
    return text


def _joined(numbered: dict[int, tuple[bool, str]]) -> str:
    """Join the sections in their order; the first names the charset (RFC 2231, 4.1)."""
    declared: str | None = None
    octets = b""
    for number, (is_encoded, piece) in sorted(numbered.items()):
        if not is_encoded:
            octets += piece.encode("utf-8", "surrogateescape")
        elif number == min(numbered) and piece.count("'") >= 2:
            declared, _, rest = piece.split("'", 2)
            octets += unquote_to_bytes(rest)
        else:
            octets += unquote_to_bytes(piece)
    text = charset.decode(octets, declared or None).text
    return decode_words(text) if declared is None else text
