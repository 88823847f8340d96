"""The one file inside a packed report; of a size that is bounded before it is unpacked."""

from __future__ import annotations

import io
import zipfile
import zlib

UNPACKED_MAX_OCTETS = 8 * 1024 * 1024  # the largest DMARC reports known are some MB; a bomb stops here


def unpacked(octets: bytes) -> bytes:
    """Return what is inside gzip or zip, b"" where it is broken or too large, other octets as they are."""
    try:
        if octets.startswith(b"PK"):
            return _from_zip(octets)
        if octets.startswith(b"\x1f\x8b"):
            return _from_gzip(octets)
    except (zlib.error, zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError):
        return b""
    return octets if len(octets) <= UNPACKED_MAX_OCTETS else b""


def _from_gzip(octets: bytes) -> bytes:
    stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
    data = stream.decompress(octets, UNPACKED_MAX_OCTETS)
    return b"" if stream.unconsumed_tail else data


def _from_zip(octets: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(octets)) as archive:
        names = [info for info in archive.infolist()[:10] if not info.is_dir()]
        if not names:
            return b""
        with archive.open(names[0]) as member:
            data = member.read(UNPACKED_MAX_OCTETS + 1)
    return data if len(data) <= UNPACKED_MAX_OCTETS else b""
