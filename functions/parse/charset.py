"""Octets to text: as declared when that works, else found out. Only codecs of a fixed list are used."""

from __future__ import annotations

import codecs
from typing import NamedTuple

from .charset_guess import SAMPLE_OCTETS, guessed_charset

UNDECLARED = frozenset({"", "us-ascii", "ascii", "unknown-8bit", "x-unknown", "unknown", "default", "binary"})

# Declared names → Python codec. No utf-7 (it hides markup from filters), no unicode_escape, no codec
# that is not a charset. Supersets stand for their subsets where mailers mix them up, as in the
# WHATWG Encoding Standard (4.2, names and labels).
_CODECS = {
    "utf-8": "utf-8", "utf8": "utf-8", "unicode-1-1-utf-8": "utf-8", "utf-8mb4": "utf-8",
    "utf-16": "utf-16", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be",
    "utf-32": "utf-32", "utf-32le": "utf-32-le", "utf-32be": "utf-32-be",
    "iso-8859-1": "cp1252", "latin1": "cp1252", "latin-1": "cp1252", "iso8859-1": "cp1252",
    "iso_8859-1": "cp1252", "windows-1252": "cp1252", "cp1252": "cp1252", "cp-1252": "cp1252",
    "iso-8859-8-i": "iso8859-8", "iso-8859-8-e": "iso8859-8", "iso-8859-6-i": "iso8859-6",
    "iso-8859-9": "cp1254", "latin5": "cp1254", "iso-8859-11": "cp874", "tis-620": "cp874",
    "gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "cp936": "gb18030", "x-gbk": "gb18030",
    "hz-gb-2312": "hz", "big5": "cp950", "cn-big5": "cp950", "big5-hkscs": "big5hkscs",
    "shift_jis": "cp932", "shift-jis": "cp932", "sjis": "cp932", "x-sjis": "cp932",
    "windows-31j": "cp932", "ms_kanji": "cp932", "cp932": "cp932",
    "euc-jp": "euc_jp", "x-euc-jp": "euc_jp", "eucjp": "euc_jp",
    "iso-2022-jp": "iso2022_jp_ext", "iso-2022-jp-1": "iso2022_jp_ext", "iso-2022-jp-2": "iso2022_jp_2",
    "iso-2022-jp-3": "iso2022_jp_3", "csiso2022jp": "iso2022_jp_ext",
    "iso-2022-kr": "iso2022_kr", "euc-kr": "cp949", "ks_c_5601-1987": "cp949", "ks_c_5601": "cp949",
    "cp949": "cp949", "uhc": "cp949", "johab": "johab",
    "koi8-r": "koi8-r", "koi8-u": "koi8-u", "koi8-ru": "koi8-u", "x-mac-cyrillic": "mac_cyrillic",
    "macintosh": "mac_roman", "x-mac-roman": "mac_roman", "mac": "mac_roman",
    "ibm437": "cp437", "cp437": "cp437", "ibm850": "cp850", "cp850": "cp850", "cp858": "cp858",
    "ibm852": "cp852", "cp852": "cp852", "ibm866": "cp866", "cp866": "cp866",
    "windows-874": "cp874", "cp874": "cp874",
}  # fmt: skip
_CODECS.update({f"iso-8859-{n}": f"iso8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)})
_CODECS.update({f"iso8859-{n}": f"iso8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)})
_CODECS.update({f"windows-{n}": f"cp{n}" for n in (1250, 1251, 1253, 1254, 1255, 1256, 1257, 1258)})
_CODECS.update({f"cp{n}": f"cp{n}" for n in (1250, 1251, 1253, 1254, 1255, 1256, 1257, 1258)})


class Decoded(NamedTuple):
    """Text, and how it came to be."""

    text: str
    charset: str  # the charset used, as IANA writes it in lower case


def codec_of(declared: str) -> str | None:
    """Return the Python codec for a declared charset, or None when it is on no list of ours."""
    return _CODECS.get(declared.strip().strip("\"'").lower())


def decode(octets: bytes, declared: str | None) -> Decoded:
    """
    Return the octets as text; never fails.

    Args:
        declared: The charset parameter; None when there is none.
    """
    name = (declared or "").strip().strip("\"'").lower()
    if (
        octets.isascii()
        and b"\x1b" not in octets
        and not name.startswith(("utf-16", "utf-32", "hz", "iso-2022"))
    ):
        return Decoded(octets.decode("ascii"), name if name in _CODECS else "us-ascii")
    codec = _CODECS.get(name)
    # A 7-bit or 8-bit name says nothing about escape sequences: undeclared ISO-2022-JP is common.
    is_escaped = b"\x1b$" in octets or b"\x1b(" in octets
    if codec is not None and not (is_escaped and not name.startswith("iso-2022")):
        text = _strictly(octets, codec)
        if text is not None and not (codec == "cp1252" and _was_mislabelled(octets)):
            return Decoded(text, name)
    return found_out(octets, name)


def found_out(octets: bytes, declared: str = "") -> Decoded:
    """Return the octets in the charset that fits them best, when the declared one is none or does not fit."""
    if b"\x1b" in octets and (text := _strictly(octets, "iso2022_jp_ext")) is not None:
        return Decoded(text, "iso-2022-jp")
    if (text := _strictly(octets, "utf-8")) is not None:
        return Decoded(text, "utf-8")
    if declared in ("utf-8", "utf8") and _is_nearly_utf8(octets):
        return Decoded(octets.decode("utf-8", "replace"), "utf-8")
    name = guessed_charset(octets)
    return Decoded(
        octets.decode(_CODECS[name], "replace") if name != "windows-1252" else _as_browsers_do(octets), name
    )


def _is_nearly_utf8(octets: bytes) -> bool:
    """Say whether all but a few characters are UTF-8: a text cut in the middle of one, or pasted together."""
    sample = octets[:SAMPLE_OCTETS]
    broken = sample.decode("utf-8", "replace").count("\ufffd")
    good = sum(1 for octet in sample if octet >= 0xC2) - broken
    return good > 4 * broken


def _was_mislabelled(octets: bytes) -> bool:
    """Say whether octets labelled Latin-1, which any octets are, make sense as UTF-8: then they are that."""
    return _strictly(octets, "utf-8") is not None


def _strictly(octets: bytes, codec: str) -> str | None:
    try:
        text = octets.decode(codec)
    except (UnicodeError, ValueError):
        if codec != "cp1252":
            return None
        text = _as_browsers_do(octets)
    return text.removeprefix("\ufeff") if codec.startswith("utf") else text


def _as_browsers_do(octets: bytes) -> str:
    """windows-1252 with its five unassigned octets as C1 controls (WHATWG Encoding, 9)."""
    return codecs.charmap_decode(octets, "strict", _WINDOWS_1252)[0]


_WINDOWS_1252 = "".join(
    bytes([octet]).decode("cp1252") if octet not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else chr(octet)
    for octet in range(256)
)
