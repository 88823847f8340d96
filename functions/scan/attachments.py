"""What is suspicious about attachments, by their names and first octets; nothing is unpacked."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mailchute.parts import File

_ENDINGS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
PROGRAMS = frozenset(_ENDINGS["programs"])
DOCUMENTS = frozenset(_ENDINGS["documents"])

_PROGRAM_HEADS = (
    b"MZ",
    b"\x7fELF",
    b"\xca\xfe\xba\xbe",
    b"\xcf\xfa\xed\xfe",
    b"L\x00\x00\x00\x01\x14\x02\x00",
)
_ZIP = b"PK\x03\x04"
_ZIP_FLAGS_AT = 6  # APPNOTE 4.3.7
_ZIP_ENCRYPTED = 0x1  # APPNOTE 4.4.4


@dataclass(frozen=True)
class FileFacts:
    """Claims about all attachments of a mail together."""

    extensions: tuple[str, ...]  # lower case, without the dot
    has_program: bool  # one runs when opened
    has_disguise: bool  # one is a program under a document's name or type
    has_double_extension: bool  # invoice.pdf.exe
    has_encrypted_archive: bool


def file_facts(files: Sequence[File]) -> FileFacts:
    """Return what these attachments give away."""
    names = [file.name.lower().rstrip(". ").split(".") for file in files]
    extensions = [parts[-1] if len(parts) > 1 else "" for parts in names]
    heads = [file.head.startswith(_PROGRAM_HEADS) for file in files]
    named = [extension in PROGRAMS for extension in extensions]
    return FileFacts(
        extensions=tuple(extension for extension in extensions if extension),
        has_program=any(heads) or any(named),
        has_disguise=any(head and not name for head, name in zip(heads, named, strict=True)),
        has_double_extension=any(
            len(parts) > 2 and parts[-1] in PROGRAMS and parts[-2].strip() in DOCUMENTS for parts in names
        ),
        has_encrypted_archive=any(_is_encrypted_zip(file.head) for file in files),
    )


def _is_encrypted_zip(head: bytes) -> bool:
    return head.startswith(_ZIP) and len(head) > _ZIP_FLAGS_AT and bool(head[_ZIP_FLAGS_AT] & _ZIP_ENCRYPTED)
