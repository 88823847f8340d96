"""What a mail links to: from its HTML and its text, in reading order, each URL once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from mailchute.payload import Link

from .limits import LINKS_MAX_COUNT, TEXT_FOR_LINKS_MAX_CHARACTERS
from .markup import Anchor
from .text_links import links_in

_CONTROLS = re.compile(r"[\x00-\x20\x7f]+")
# Most URLs are so plain that every reader sees the same host; urlsplit reads the rest, in ten times the time.
_PLAIN = re.compile(r"[hH][tT][tT][pP][sS]?://([A-Za-z0-9._-]++)(?::[0-9]++)?(?=[/?#]|\Z)")
_NO_LINKS = ("javascript:", "vbscript:", "data:", "cid:", "mid:", "about:", "blob:", "file:", "#", "x-")
_HOST = re.compile(
    r"(?:https?://)?(?:[^\s/@]*@)?((?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,24})(?:[:/?#]\S*)?\Z"
)


def links_of(anchors: Iterable[Anchor], text: str) -> tuple[tuple[Link, ...], bool]:
    """
    Return the links of the HTML, then those of the text it does not have, and whether some were left out.

    Args:
        anchors: The links of the HTML.
        text: The text part; "" when the mail has only HTML.
    """
    found: dict[str, Link] = {}
    for anchor in anchors:
        if len(found) >= LINKS_MAX_COUNT:
            return tuple(found.values()), True
        url = anchor.url.strip()
        if " " in url or not url.isprintable():
            url = _CONTROLS.sub("", url)
        if not url or url.lower().startswith(_NO_LINKS) or url in found:
            continue
        domain = domain_of(url)
        found[url] = Link(url=url, text=anchor.text, domain=domain, mismatch=_mismatches(anchor.text, domain))
    for _, url in links_in(text[:TEXT_FOR_LINKS_MAX_CHARACTERS]):
        if len(found) >= LINKS_MAX_COUNT:
            return tuple(found.values()), True
        if url not in found:
            found[url] = Link(url=url, text="", domain=domain_of(url))
    return tuple(found.values()), False


def domain_of(url: str) -> str:
    """Return the host a URL names, in lower case; of mailto: the domain; "" when there is none."""
    plain = _PLAIN.match(url)
    if plain is not None:
        return plain[1].lower()
    if url[:7].lower() == "mailto:":
        return url.partition("?")[0].rpartition("@")[2].lower() if "@" in url else ""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _mismatches(text: str, domain: str) -> bool:
    """Say whether the text names a host, and another one than the URL goes to."""
    match = _HOST.match(text.lower()) if "." in text and domain else None
    if match is None:
        return False
    named, goes_to = match[1].removeprefix("www."), domain.removeprefix("www.")
    return not (named == goes_to or named.endswith(f".{goes_to}") or goes_to.endswith(f".{named}"))
