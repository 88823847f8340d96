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
_ATTRIBUTES = r"(?:[^=>]++|=\s*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|))*+"
_TAGS = re.compile(  # text before it, name with its slash, attributes; or what is no tag
    rf"([^<]*+)(?:<(/?[a-zA-Z][^\s/>]*+)({_ATTRIBUTES})(?:>|\Z)|<[!?/][^>]*+(?:>|\Z)|(<)|\Z)"
)
_ATTRIBUTE = re.compile(r"([^\s=>/]++)(?:\s*+=\s*+(?:\"([^\"]*+)|'([^']*+)|([^\s>]*+)))?+")


# What is never shown goes first, comments and raw text with it. A <head> may end at <body> too. Cases are
# spelled out, for an expression that ignores case is tried at every tag, letter by letter.
def _any_case(name: str) -> str:
    return "".join(f"[{letter}{letter.upper()}]" for letter in name)


def _raw(name: str, *, or_before: str = "") -> str:
    """Return an expression for an element up to its end tag, or up to (not with) another start tag."""
    stop = rf"/{name}\b|{or_before}\b" if or_before else rf"/{name}\b"
    return rf"{name}\b(?:[^<]++|<(?!{stop}))*+(?:</{name}\b[^>]*+>?)?"


_RAW_NAMES = "script style title template noembed noframes iframe object svg math"
_UNSEEN = re.compile(
    r"<(?:!--(?:[^-]++|-(?!->))*+(?:-->)?|"
    + _raw(_any_case("head"), or_before=_any_case("body"))
    + "".join(f"|{_raw(_any_case(name))}" for name in _RAW_NAMES.split())
    + ")"
)
# While blanks are still to be collapsed, those that are meant stand as control characters.
_LINE_END, _PARAGRAPH_END, _KEPT_LINE_END, _KEPT_BLANK = "\x01", "\x02", "\x03", "\x04"
_MARKS = (_LINE_END, _PARAGRAPH_END, _KEPT_LINE_END, _KEPT_BLANK)
_CONTROLS = re.compile(f"[{''.join(_MARKS)}]")
_PARAGRAPH = "p h1 h2 h3 h4 h5 h6 blockquote ul ol dl table pre hr"
_LINE = "div tr dt dd section article header footer nav aside main figure form fieldset address center"
_BREAKS = dict.fromkeys(_PARAGRAPH.split(), _PARAGRAPH_END) | dict.fromkeys(_LINE.split(), _LINE_END)
# What a tag puts into the text, by its slash and name.
_SHOWN_AS = {slash + name: mark for name, mark in _BREAKS.items() for slash in ("", "/")} | {
    "br": _LINE_END,
    "/br": _LINE_END,
    "li": f"{_LINE_END}- ",
    "/li": _LINE_END,
    "/td": " ",
    "/th": " ",
}
_VOID = "area base br col embed hr img input link meta param source track wbr"
_IMPLIED_END = "p li td th tr dt dd option"  # their end tag may be left out: they say nothing of depth
_INLINE = "a b i u strong em span font small big code center html body thead tbody tfoot"
_FLAT = frozenset(f"{_VOID} {_IMPLIED_END}".split())
_SPECIAL = frozenset(("a", "/a", "img", "/img", "pre", "/pre"))
_HREF_FIRST = re.compile(r"\s++[hH][rR][eE][fF]=\"([^\"]*+)\"")

_Effect = tuple[str, int, str]  # what it puts into the text, how it nests, its name if it needs a closer look


def _effect_of(name: str) -> _Effect:
    """Return what a tag does, by its name with the slash before it; names of tags know no case."""
    name = name.lower()
    bare = name.removeprefix("/")
    step = 0 if bare in _FLAT else -1 if name != bare else 1
    return _SHOWN_AS.get(name, ""), step, name if name in _SPECIAL else ""


_EFFECTS = {
    slash + name: _effect_of(slash + name)
    for name in f"{_VOID} {_IMPLIED_END} {_PARAGRAPH} {_LINE} {_INLINE}".split()
    for slash in ("", "/")
}


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


def without_unseen(html: str) -> str:
    """Return the HTML without comments, styles, scripts and all else that no browser shows as text."""
    return _UNSEEN.sub("", html)


def read_markup(html: str) -> Reading:
    """Return what a person sees of this HTML."""
    if any(mark in html for mark in _MARKS):
        html = _CONTROLS.sub("", html)
    reader = _Reader()
    reader.read(without_unseen(html))
    return reader.reading()


class _Reader:
    """Gathers what one pass comes across."""

    __slots__ = ("_anchors", "_deepest", "_open_anchor", "_out", "_preformatted")

    def __init__(self) -> None:
        self._out: list[str] = []
        self._anchors: list[tuple[str, int, int]] = []  # URL, and where its text lies in _out
        self._open_anchor: tuple[str, int] | None = None
        self._deepest = 0
        self._preformatted = 0

    def read(self, html: str) -> None:
        """Go through the tags once; what most of them do is done here, without a call."""
        out, depth, deepest = self._out, 0, 0
        for text, name, attributes, sign in _TAGS.findall(html):
            if text:
                out.append(_kept(text) if self._preformatted else text)
            if not name:
                out.append(sign)
                continue
            mark, step, special = _EFFECTS.get(name) or _effect_of(name)
            if mark:
                out.append(mark)
            if step < 0:
                depth -= depth > 0
            elif step and attributes[-1:] != "/":
                depth += 1
                if depth > deepest:
                    deepest = depth
            if special:
                self._take(special, attributes)
        self._deepest = deepest

    def _take(self, name: str, attributes: str) -> None:
        if name == "/a":
            self._end_anchor()
        elif name == "a":
            self._end_anchor()
            first = _HREF_FIRST.match(attributes)
            href = unescape(first[1]) if first else attributes_of(attributes).get("href", "")
            if href:
                self._open_anchor = (href, len(self._out))
        elif name in ("pre", "/pre"):
            self._preformatted = max(0, self._preformatted + (-1 if name == "/pre" else 1))
        elif "alt" in attributes.lower():
            self._out.append(attributes_of(attributes).get("alt", "").replace("&", "&amp;"))

    def _end_anchor(self) -> None:
        if self._open_anchor is not None:
            url, start = self._open_anchor
            self._anchors.append((url, start, len(self._out)))
            self._open_anchor = None

    def reading(self) -> Reading:
        self._end_anchor()
        anchors = [Anchor(url, _one_line("".join(self._out[start:end]))) for url, start, end in self._anchors]
        return Reading(_shown("".join(self._out)).strip(), anchors, self._deepest)


def _kept(text: str) -> str:
    """Return the text of a <pre> with marks for its blanks."""
    return text.replace("\r\n", "\n").replace("\n", _KEPT_LINE_END).replace(" ", _KEPT_BLANK)


def _one_line(text: str) -> str:
    is_plain = text.isascii() and text.isprintable() and "&" not in text
    return " ".join((text if is_plain else _shown(text)).split())


def _shown(text: str) -> str:
    """Return what was gathered with its blanks collapsed and its marks turned into line ends."""
    if "&" in text:
        text = unescape(text)
    text = _with_single_blanks(text)
    text = text.replace(_PARAGRAPH_END, 2 * _LINE_END).replace(_KEPT_LINE_END, _LINE_END)
    lines: list[str] = []
    is_empty = False  # whether the line before is: of several empty lines one is shown
    for line in [each.strip(" ") for each in text.split(_LINE_END)]:
        if line or not is_empty:
            lines.append(line)
        is_empty = not line
    text = "\n".join(lines).replace(_KEPT_BLANK, " ")
    return text if text.isascii() else text.translate(_UNSEEN_CHARACTERS)


def _with_single_blanks(text: str) -> str:
    """Return " ".join(text.split()), several times faster: no object is made for each word."""
    for blank in _BLANKS:
        if blank in text:
            text = text.replace(blank, " ")
    while "  " in text:
        text = text.replace("  ", " ")
    return text.strip(" ")


_BLANKS = tuple(c for c in map(chr, range(0x3001)) if c.isspace() and c != " ")  # U+3000 is the last

# Soft hyphen, zero-width space, non-joiner and no-break space: newsletters pad their preview with them.
_UNSEEN_CHARACTERS = {0xAD: None, 0x200B: None, 0x200C: None, 0xFEFF: None}
