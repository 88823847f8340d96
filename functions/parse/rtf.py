"""RTF as Outlook packs it into a winmail.dat, unpacked (MS-OXRTFCP)."""

from __future__ import annotations

import struct

RTF_MAX_OCTETS = 1024 * 1024  # unpacked; octet by octet that takes 0.4 s
_HEADER = struct.Struct("<IIII")  # sizes packed and not, kind, CRC
_PACKED, _PLAIN = 0x75465A4C, 0x414C454D  # "LZFu", "MELA"
_WINDOW_OCTETS = 4_096
# What the window holds before anything is read (2.1.3.1.5).
_BEGINNING = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans "
    rb"SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0" + b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)


def unpacked_rtf(octets: bytes) -> bytes:
    """Return the RTF; b"" where it is none, or too large. What is damaged is read as far as it goes."""
    if len(octets) < _HEADER.size:
        return b""
    _, size, kind, _ = _HEADER.unpack_from(octets)
    if size > RTF_MAX_OCTETS:
        return b""
    if kind == _PLAIN:
        return octets[_HEADER.size : _HEADER.size + size]
    return _expanded(octets, size) if kind == _PACKED else b""


def _expanded(octets: bytes, size: int) -> bytes:
    """Undo the compression (2.2.2): a control octet says of the next eight tokens which are references."""
    out = bytearray(_BEGINNING)  # the window is the end of what was written
    end = len(_BEGINNING) + size
    at = _HEADER.size
    while at < len(octets) and len(out) < end:
        control = octets[at]
        at += 1
        for bit in range(8):
            if at + (control >> bit & 1) >= len(octets) or len(out) >= end:
                break
            if not control >> bit & 1:
                out.append(octets[at])
                at += 1
                continue
            token = octets[at] << 8 | octets[at + 1]
            at += 2
            distance = (len(out) - (token >> 4)) % _WINDOW_OCTETS
            if distance == 0:  # it points to where is to be written: the end
                return bytes(out[len(_BEGINNING) :])
            _repeat(out, distance, (token & 15) + 2)
    return bytes(out[len(_BEGINNING) : end])


def _repeat(out: bytearray, distance: int, count: int) -> None:
    """Append `count` octets from `distance` back; they may overlap what is appended."""
    start = len(out) - distance
    for index in range(start, start + count):
        out.append(out[index] if index >= 0 else 0)  # before the beginning the window is empty
