"""
HTML read by one linear pass over its tags: the text a person sees, the links, and how deep it nests.

A tree is not built: parsers that build one are quadratic in hostile nesting, and the depth found
here is what keeps such HTML away from them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape

# A quotation mark counts only after "=", as in browsers. Every alternative ends in a possessive
# repeat or at the end of the text, so what is looked at is consumed: linear.
_ATTRIBUTES = r"(?:[^\s=>]++|\s++|=\s*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^\s>]*+))*+"
_MARKUP = re.compile(
    rf"<(?:(?P<slash>/?)(?P<name>[a-zA-Z][^\s/>]*+)(?P<attributes>{_ATTRIBUTES})(?:>|\Z)"
    r"|!--(?P<comment>.*?)(?:-->|\Z)|[!?/][^>]*+(?:>|\Z))",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"([^\s=>/]++)(?:\s*+=\s*+(?:\"([^\"]*+)|'([^']*+)|([^\s>]*+)))?+")
_BLANKS = re.compile(r"[ \t\r\n\f]+")
_LINES = re.compile(r" *\n *")
_EMPTY_LINES = re.compile(r"\n{3,}")

_VOID = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    ]
)
_UNSEEN = frozenset(
    ["script", "style", "head", "title", "template", "noembed", "noframes", "iframe", "object", "svg", "math"]
)
_PARAGRAPH = frozenset(
    ["p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "dl", "table", "pre", "hr"]
)
_LINE = frozenset(
    [
        "div",
        "tr",
        "li",
        "dt",
        "dd",
        "section",
        "article",
        "header",
        "footer",
        "nav",
        "aside",
        "main",
        "figure",
        "form",
        "fieldset",
        "address",
        "center",
    ]
)
_IMPLIED_END = frozenset(["p", "li", "td", "th", "tr", "dt", "dd", "option"])  # their end tag may be left out
_CELL = frozenset(("td", "th"))


@dataclass(slots=True)
class Anchor:
    """One <a href>."""

    url: str
    text: str


@dataclass(slots=True)
class Reading:
    """What was read."""

    text: str
    anchors: list[Anchor] = field(default_factory=list)
    depth: int = 0  # how deep elements nest, at most


def attributes_of(tag: str) -> dict[str, str]:
    """Return the attributes in this part of a tag by lower-case name, the first of each."""
    found: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(tag):
        found.setdefault(name.lower(), unescape(double or single or bare))
    return found


def read_markup(html: str) -> Reading:
    """Return what a person sees of this HTML."""
    reader = _Reader()
    position = 0
    while (match := _MARKUP.search(html, position)) is not None:
        if match.start() > position:
            reader.see(html[position : match.start()])
        position = match.end()
        name = match["name"]
        if name is None:
            continue
        name = name.lower()
        if match["slash"]:
            reader.close(name)
            continue
        if name in _UNSEEN:
            position = _end_of(html, name, position)
        reader.open(name, match["attributes"])
    reader.see(html[position:])
    return reader.reading()


def _end_of(html: str, name: str, position: int) -> int:
    """Return where the element that is not shown ends; a <head> may end at <body> too."""
    pattern = _ENDS.get(name)
    if pattern is None:
        pattern = _ENDS[name] = re.compile(rf"</{name}\b|<body\b" if name == "head" else rf"</{name}\b", re.I)
    match = pattern.search(html, position)
    return match.start() if match else len(html)


_ENDS: dict[str, re.Pattern[str]] = {}


class _Reader:
    """Gathers what one pass comes across."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._anchors: list[Anchor] = []
        self._open_anchor: tuple[str, int] | None = None
        self._depth = 0
        self._deepest = 0
        self._preformatted = 0

    def see(self, text: str) -> None:
        if "&" in text:
            text = unescape(text)
        self._out.append(text if self._preformatted else _BLANKS.sub(" ", text))

    def open(self, name: str, attributes: str) -> None:
        if name not in _VOID and name not in _IMPLIED_END and not attributes.endswith("/"):
            self._depth += 1
            self._deepest = max(self._deepest, self._depth)
        if name == "a":
            self._end_anchor()
            href = attributes_of(attributes).get("href", "") if "href" in attributes.lower() else ""
            if href:
                self._open_anchor = (href, len(self._out))
        elif name == "br":
            self._out.append("\n")
        elif name == "img":
            alt = attributes_of(attributes).get("alt", "") if "alt" in attributes else ""
            if alt:
                self._out.append(_BLANKS.sub(" ", alt))
        elif name == "li":
            self._out.append("\n- ")
        else:
            self._break(name)
            self._preformatted += name == "pre"

    def close(self, name: str) -> None:
        if name not in _IMPLIED_END and self._depth:
            self._depth -= 1
        if name == "a":
            self._end_anchor()
        elif name == "pre" and self._preformatted:
            self._preformatted -= 1
        if name in _CELL:
            self._out.append(" ")
        self._break(name)

    def _break(self, name: str) -> None:
        if name in _PARAGRAPH:
            self._out.append("\n\n")
        elif name in _LINE:
            self._out.append("\n")

    def _end_anchor(self) -> None:
        if self._open_anchor is not None:
            url, start = self._open_anchor
            self._anchors.append(Anchor(url, " ".join("".join(self._out[start:]).split())))
            self._open_anchor = None

    def reading(self) -> Reading:
        self._end_anchor()
        text = "".join(self._out).replace("\u00a0", " ").replace("\u200c", "")
        text = _LINES.sub("\n", text)
        text = _EMPTY_LINES.sub("\n\n", text).strip()
        return Reading(text, self._anchors, self._deepest)
