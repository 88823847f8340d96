"""A winmail.dat made by hand (MS-OXTNEF): `.venv/bin/python -m tests.corpus.winmail` writes the file."""

from __future__ import annotations

import struct
from pathlib import Path

FILE = Path(__file__).with_name("winmail.dat")
TEXT = b"Dear Ada,\r\nthe plan is attached.\r\n"
HTML = b"<p>Dear Ada,<br>the <b>plan</b> is attached.</p>"
RTF = rb"{\rtf1\ansi Dear Ada, the plan is attached.}"
LONG_NAME = "Plan für das Frühjahr.txt"
PLAN = b"sow, water, wait\r\n"
_MESSAGE, _ATTACHMENT = 1, 2  # levels


def winmail() -> bytes:
    """Return a mail with text, HTML and RTF, and one file whose long name stands beside its DOS name."""
    rtf = b"MELA" + struct.pack("<I", 0) + RTF  # MS-OXRTFCP: kept as it is
    rtf = struct.pack("<II", len(rtf) + 4, len(RTF)) + rtf
    return b"".join(
        (
            struct.pack("<IH", 0x223E9F78, 1),
            _attribute(_MESSAGE, 0x00089006, struct.pack("<I", 0x00010000)),  # attTnefVersion
            _attribute(_MESSAGE, 0x00069007, struct.pack("<II", 1252, 0)),  # attOemCodepage
            _attribute(_MESSAGE, 0x0002800C, TEXT + b"\0"),  # attBody
            _attribute(_MESSAGE, 0x00069003, _properties((0x1013, HTML), (0x1009, rtf))),  # attMAPIProps
            _attribute(_ATTACHMENT, 0x00069002, struct.pack("<HIHHI", 1, 0, 0, 0, 0)),  # attAttachRenddata
            _attribute(_ATTACHMENT, 0x00018010, b"PLANFU~1.TXT\0"),  # attAttachTitle
            _attribute(_ATTACHMENT, 0x0006800F, PLAN),  # attAttachData
            _attribute(_ATTACHMENT, 0x00069005, _properties((0x3707, LONG_NAME))),  # attAttachment
        )
    )


def _attribute(level: int, number: int, data: bytes) -> bytes:
    return struct.pack("<BII", level, number, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)


def _properties(*pairs: tuple[int, bytes | str]) -> bytes:
    """Return MAPI properties: octets as PtypBinary, text as PtypString (MS-OXTNEF, 2.1.3.4)."""
    out = struct.pack("<I", len(pairs))
    for number, value in pairs:
        is_text = isinstance(value, str)
        octets = f"{value}\0".encode("utf-16-le") if isinstance(value, str) else value
        kind = 0x001F if is_text else 0x0102
        out += struct.pack("<HHII", kind, number, 1, len(octets)) + octets + b"\0" * (-len(octets) % 4)
    return out


if __name__ == "__main__":
    FILE.write_bytes(winmail())
