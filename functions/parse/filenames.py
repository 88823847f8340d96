"""File names of attachments: as the sender meant them, and safe to write to a disk."""

from __future__ import annotations

import re
import unicodedata

from .limits import FILENAME_MAX_CHARACTERS

_UNSAFE = re.compile(r'[\x00-\x1f\x7f"<>|?*:\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|\Z)", re.IGNORECASE)  # Windows
_EXTENSIONS = {
    "text/plain": "txt", "text/html": "html", "text/calendar": "ics", "text/csv": "csv", "text/rtf": "rtf",
    "text/xml": "xml", "text/vcard": "vcf", "text/x-vcard": "vcf", "text/enriched": "txt",
    "text/rfc822-headers": "txt", "message/rfc822": "eml", "message/global": "eml", "message/news": "eml",
    "message/delivery-status": "txt", "message/feedback-report": "txt",
    "message/disposition-notification": "txt", "image/jpeg": "jpg", "image/jpg": "jpg", "image/png": "png",
    "image/gif": "gif", "image/bmp": "bmp", "image/tiff": "tif", "image/webp": "webp",
    "image/svg+xml": "svg", "audio/mpeg": "mp3", "audio/wav": "wav", "audio/x-wav": "wav",
    "audio/basic": "au", "video/mp4": "mp4", "video/mpeg": "mpg", "video/quicktime": "mov",
    "application/pdf": "pdf", "application/zip": "zip", "application/gzip": "gz", "application/json": "json",
    "application/xml": "xml", "application/rtf": "rtf", "application/msword": "doc",
    "application/postscript": "ps", "application/ms-tnef": "dat", "application/vnd.ms-tnef": "dat",
    "application/pgp-signature": "asc", "application/pgp-encrypted": "asc", "application/pgp-keys": "asc",
    "application/pkcs7-signature": "p7s", "application/x-pkcs7-signature": "p7s",
    "application/pkcs7-mime": "p7m", "application/x-pkcs7-mime": "p7m",
}  # fmt: skip


def safe_filename(name: str) -> str:
    """
    Return the name as the last component of a path, without what a file system or a reader trips over.

    "" when nothing of it is left. Letters of all scripts stay; control and direction characters,
    leading dots and device names do not.
    """
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    name = _UNSAFE.sub("_", name).strip().lstrip(".").strip()
    if _RESERVED.match(name):
        name = f"_{name}"
    if len(name) > FILENAME_MAX_CHARACTERS:
        stem, dot, extension = name.rpartition(".")
        keep = extension if dot and len(extension) <= 10 else ""
        name = (stem or name)[: FILENAME_MAX_CHARACTERS - len(keep) - 1] + (f".{keep}" if keep else "")
    return name.encode("utf-8", "replace").decode()


def made_filename(number: int, media_type: str) -> str:
    """Return the name of an attachment that has none."""
    return f"part-{number}.{_EXTENSIONS.get(media_type, 'bin')}"
