"""Which parts of a mail are its text and which are attachments."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mailchute.payload import BodyPart

from . import charset
from .entity import Entity
from .flowed import unflowed
from .inline_files import InlineFile, taken_out
from .parameters import read_parameters
from .words import decode_words

_RICH_TYPES = frozenset(("text/enriched", "text/richtext"))  # RFC 1896, RFC 1341
_TEXT_TYPES = frozenset(("text/plain", "text/html")) | _RICH_TYPES
_RENDERINGS = frozenset(("text/x-amp-html", "text/watch-html"))  # say again what their neighbours say
_RICH_MARKUP = re.compile(r"<(/?)([a-zA-Z0-9-]{1,60})>")


@dataclass(slots=True)
class Slot:
    """One stretch of the mail in one or both renderings."""

    text: str | None = None
    html: str | None = None


@dataclass(slots=True)
class Part:
    """A leaf that is no body text."""

    entity: Entity
    filename: str  # as declared, "" when none was
    disposition: str  # lower case, "" when none was declared


@dataclass(slots=True)
class Bodies:
    """The leaves of a mail, sorted."""

    slots: list[Slot] = field(default_factory=list)
    attachments: list[Part] = field(default_factory=list)
    parts: list[BodyPart] = field(default_factory=list)
    files: list[InlineFile] = field(default_factory=list)  # that stood in the text


def sort_leaves(root: Entity) -> Bodies:
    """Return the leaves in the order of the mail; none is left out but repeated renderings."""
    bodies = Bodies()
    _visit(root, bodies)
    return bodies


def _visit(entity: Entity, bodies: Bodies) -> None:
    if not entity.is_multipart:
        _take_leaf(entity, bodies)
    elif entity.media_type == "multipart/alternative":
        _take_alternatives(entity, bodies)
    else:
        for child in entity.children:
            _visit(child, bodies)


def _take_alternatives(entity: Entity, bodies: Bodies) -> None:
    """Make one slot of what says the same thing several times (RFC 2046, 5.1.4)."""
    before = bodies.slots
    texts: list[str] = []
    htmls: list[str] = []
    for child in entity.children:
        if child.media_type in _RENDERINGS and not child.children:
            continue
        bodies.slots = []
        _visit(child, bodies)
        has_html = any(slot.html is not None for slot in bodies.slots)
        for slot in bodies.slots:
            if slot.html is not None:
                htmls.append(slot.html)
            elif slot.text is not None and has_html:
                # Text beside HTML within one alternative belongs to the HTML: an Apple Mail mixed part.
                htmls.append(html_of_text(slot.text))
                continue
            if slot.text is not None and slot.text not in texts:
                texts.append(slot.text)
    bodies.slots = before
    if texts or htmls:
        bodies.slots.append(Slot("\n".join(texts) if texts else None, "\n".join(htmls) if htmls else None))


def _take_leaf(entity: Entity, bodies: Bodies) -> None:
    disposition, filename = disposition_of(entity)
    is_text = entity.media_type in _TEXT_TYPES or entity.media_type.startswith("multipart/")
    is_first = not bodies.slots
    if not is_text or disposition == "attachment" or (filename and not is_first):
        bodies.attachments.append(Part(entity, filename, disposition))
        return
    declared = entity.parameters.get("charset")
    octets = entity.body()
    if entity.media_type == "text/plain":
        octets, files = taken_out(octets)
        bodies.files.extend(files)
    decoded = charset.decode(octets, declared)
    text = decoded.text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    bodies.parts.append(
        BodyPart(content_type=entity.media_type, charset_declared=declared, charset_used=decoded.charset)
    )
    if entity.media_type == "text/html":
        bodies.slots.append(Slot(html=text))
    elif text.strip():
        bodies.slots.append(Slot(text=_plain(entity, text)))


def disposition_of(entity: Entity) -> tuple[str, str]:
    """Return the disposition in lower case ("" for none) and the file name ("" for none)."""
    disposition, parameters = read_parameters(entity.section.first("content-disposition") or b"")
    filename = parameters.get("filename") or parameters.get("name") or entity.parameters.get("name")
    filename = filename or entity.parameters.get("filename") or ""
    return disposition.split(" ")[0], decode_words(filename).strip()


def html_of_text(text: str) -> str:
    """Return plain text as HTML that looks the same."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f'<div style="white-space: pre-wrap">{escaped}</div>'


def _plain(entity: Entity, text: str) -> str:
    if entity.media_type in _RICH_TYPES:
        return _RICH_MARKUP.sub("", text.replace("<nl>", "\n")).replace("<<", "<")
    if entity.parameters.get("format", "").lower() == "flowed":
        return unflowed(text, delete_space=entity.parameters.get("delsp", "").lower() == "yes")
    return text
