"""HTML forms as a body: URL-encoded, or multipart/form-data where there are files (RFC 7578)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from urllib.parse import urlencode

from .files import File
from .shape import Shape

URLENCODED = "application/x-www-form-urlencoded"

Pair = tuple[str, str | bytes]


def urlencoded(pairs: Iterable[Pair]) -> Shape:
    return Shape(body=urlencode(list(pairs)).encode(), content_type=URLENCODED)


def multipart(pairs: Iterable[Pair], files: Iterable[tuple[str, File]]) -> Shape:
    """Return a form with these fields, and these files under their field names."""
    boundary = secrets.token_hex(16)  # 128 random bits: no content holds it by chance or on purpose
    parts = []
    for name, value in pairs:
        octets = value if isinstance(value, bytes) else value.encode()
        parts += [_opening(boundary, f'name="{_quoted(name)}"'), b"\r\n", octets, b"\r\n"]
    for name, file in files:
        opening = _opening(boundary, f'name="{_quoted(name)}"; filename="{_quoted(file.name)}"')
        parts += [opening, f"Content-Type: {_type_of(file)}\r\n\r\n".encode(), file.content, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    return Shape(body=b"".join(parts), content_type=f"multipart/form-data; boundary={boundary}")


def _opening(boundary: str, parameters: str) -> bytes:
    return f"--{boundary}\r\nContent-Disposition: form-data; {parameters}\r\n".encode()


def _quoted(text: str) -> str:
    """Return a parameter's text as browsers write it (HTML, "multipart/form-data encoding algorithm")."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _type_of(file: File) -> str:
    """Return the media type, or that of any octets: what a mail declares must not end the line it is in."""
    return (
        file.content_type
        if file.content_type.isascii() and file.content_type.isprintable()
        else ("application/octet-stream")
    )
