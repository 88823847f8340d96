"""Content-Transfer-Encodings (RFC 2045, 6): the octets a body part stands for, however sloppily encoded."""

from __future__ import annotations

import binascii
import re

_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/=\s]*+\Z")
_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)
_SOFT_BREAK_BLANKS = re.compile(rb"=[ \t]+(?=\r?\n)")

IDENTITY = frozenset({"", "7bit", "8bit", "binary"})


def decode_transfer(octets: bytes, encoding: str) -> bytes:
    """
    Return what the octets stand for; octets that no decoding fits come back as they are.

    Args:
        encoding: The token of Content-Transfer-Encoding in lower case; unknown ones are identity.
    """
    if encoding == "base64":
        return decode_base64(octets)
    if encoding == "quoted-printable":
        return decode_quoted_printable(octets)
    if encoding in ("x-uuencode", "x-uue", "uuencode", "uue"):
        return decode_uuencode(octets)
    return octets


def decode_base64(octets: bytes) -> bytes:
    """
    Return the decoded octets. Characters outside the alphabet are passed over (RFC 2045, 6.8).

    What follows the padding is decoded too when it is base64 throughout (some mailers encode line by
    line), and passed over otherwise (list servers append plain footers).
    """
    padding = octets.find(b"=")
    if padding < 0:
        return _base64_run(octets)
    rest = octets[padding:].lstrip(b"= \t\r\n")
    first = _base64_run(octets[:padding])
    if not rest or not _BASE64_LINE.match(rest):
        return first
    return first + b"".join(_base64_run(run) for run in rest.split(b"="))


def _base64_run(octets: bytes) -> bytes:
    """Decode octets that hold no padding."""
    try:
        return binascii.a2b_base64(octets + b"==")
    except binascii.Error:  # the count of data characters is 1 more than a multiple of 4
        data = octets.translate(None, _NOT_BASE64)
        return binascii.a2b_base64(data[: len(data) // 4 * 4])


def decode_quoted_printable(octets: bytes) -> bytes:
    if b"= " in octets or b"=\t" in octets:
        octets = _SOFT_BREAK_BLANKS.sub(b"=", octets)
    return binascii.a2b_qp(octets)


def decode_uuencode(octets: bytes) -> bytes:
    """Return what stands between `begin` and `end`; a line that is damaged is decoded as far as it goes."""
    decoded: list[bytes] = []
    inside = False
    for line in octets.splitlines():
        if not inside:
            inside = line.startswith(b"begin ")
        elif line.rstrip() in (b"end", b"`", b""):
            if line.startswith(b"end"):
                break
        else:
            decoded.append(_uu_line(line))
    return b"".join(decoded) if inside else octets


def _uu_line(line: bytes) -> bytes:
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:  # written by encoders that pad as they like: take what the length octet promises
        count = (((line[0] - 32) & 63) * 4 + 5) // 3
        try:
            return binascii.a2b_uu(line[:count])
        except binascii.Error:
            return b""
