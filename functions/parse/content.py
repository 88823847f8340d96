"""The body in its forms: text, HTML, Markdown, and what it links to."""

from __future__ import annotations

from collections.abc import Collection

from mailchute.payload import Content
from msgspec import UNSET
from msgspec.structs import replace

from .bodies import Bodies, Slot, html_of_text
from .limits import HTML_DEPTH_MAX_COUNT, HTML_MAX_OCTETS
from .links import links_of
from .markdown import Engine, markdown_of
from .markup import Anchor, Reading, read_markup
from .safe_html import cleaned, sanitised


def content_of(
    bodies: Bodies, *, engine: Engine, include: Collection[str] = (), limits: list[str] | None = None
) -> Content:
    """
    Return the content of the mail.

    Args:
        include: html_safe, html_clean: renderings made only when asked for.
        limits: Takes the names of limits that made a rendering plainer than it could be.
    """
    hit = limits if limits is not None else []
    texts: list[str] = []
    markdowns: list[str] = []
    anchors: list[Anchor] = []
    has_html = any(slot.html is not None for slot in bodies.slots)
    own_text: list[str] = []  # what the sender wrote as text: the only text that links are looked for in
    for slot in bodies.slots:
        reading = Reading("") if slot.html is None else read_markup(slot.html[:HTML_MAX_OCTETS])
        anchors.extend(reading.anchors)
        if slot.text is not None:
            own_text.append(slot.text)
        texts.append(slot.text if slot.text is not None else reading.text)
        markdowns.append(texts[-1] if slot.html is None else _markdown(slot.html, reading, engine, hit))
    text = "\n".join(texts)
    html = "\n".join(_html(slot) for slot in bodies.slots) if has_html else None
    links, some_left_out = links_of(anchors, "\n".join(own_text))
    if some_left_out:
        hit.append("links")
    is_tame = html is not None and not {"html-depth", "html-size"}.intersection(hit)
    return Content(
        text=text,
        html=html,
        markdown="\n\n".join(markdowns),
        links=links,
        parts=tuple(bodies.parts),
        html_safe=sanitised(html) if html is not None and is_tame and "html_safe" in include else UNSET,
        html_clean=cleaned(html) if html is not None and is_tame and "html_clean" in include else UNSET,
    )


def shortened(content: Content, limit_octets: int) -> Content | None:
    """
    Return the content cut to what one POST may carry, or None when it fits as it is.

    The text and the Markdown keep an eighth of the limit each; the HTML goes, for half of it is none.
    """
    forms = (content.text, content.markdown, content.html or "")
    if 3 * sum(map(len, forms)) <= limit_octets:  # UTF-8 has at most three octets a character in the BMP
        return None
    if sum(len(form.encode()) for form in forms) <= limit_octets:
        return None
    keep = limit_octets // 8 // 3
    return replace(
        content,
        text=content.text[:keep],
        markdown=content.markdown[:keep],
        html=None,
        html_safe=UNSET,
        html_clean=UNSET,
    )


def _html(slot: Slot) -> str:
    return slot.html if slot.html is not None else html_of_text(slot.text or "")


def _markdown(html: str, reading: Reading, engine: Engine, hit: list[str]) -> str:
    """Return the HTML as Markdown, or its bare text where it is too much for the engines."""
    if len(html) > HTML_MAX_OCTETS:
        hit.append("html-size")
    elif reading.depth > HTML_DEPTH_MAX_COUNT:
        hit.append("html-depth")
    else:
        try:
            return markdown_of(html, engine)
        except ValueError:
            hit.append("markdown")
    return reading.text
