"""winmail.dat (MS-OXTNEF): what Outlook packs a mail into, opened."""

from __future__ import annotations

from dataclasses import dataclass, field

from tnefparse import TNEF

from . import charset
from .inline_files import FILES_MAX_COUNT, InlineFile
from .rtf import unpacked_rtf

_TYPES = frozenset(("application/ms-tnef", "application/vnd.ms-tnef"))


@dataclass(slots=True)
class Opened:
    """What was inside."""

    text: str = ""
    html: str = ""
    files: list[InlineFile] = field(default_factory=list)


def is_tnef(media_type: str, filename: str) -> bool:
    return media_type in _TYPES or filename.lower() == "winmail.dat"


def opened(octets: bytes) -> Opened:
    """Return what is inside, nothing where it cannot be read: the winmail.dat itself is attached anyway."""
    try:
        tnef = TNEF(octets, do_checksum=False)
        found = Opened(text=_text(tnef.body), html=_text(tnef.htmlbody))
        for attachment in tnef.attachments[:FILES_MAX_COUNT]:
            name = attachment.long_filename() or attachment.name or ""
            data = attachment.data
            if isinstance(data, bytes) and data:
                found.files.append(InlineFile(str(name).strip("\x00"), data))
        rtf = tnef.rtfbody
        if isinstance(rtf, bytes) and (plain := unpacked_rtf(rtf)):
            found.files.append(InlineFile("message.rtf", plain))
    except Exception:  # noqa: BLE001 - the library raises whatever its slicing meets
        return Opened()
    return found


def _text(body: object) -> str:
    if isinstance(body, bytes):
        body = charset.decode(body, None).text
    return str(body).strip("\x00").replace("\r\n", "\n").replace("\r", "\n") if body else ""
