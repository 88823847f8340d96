"""HTML for showing: sanitised, or without what tracks its reader. Made only when an endpoint wants it."""

from __future__ import annotations

import re

import nh3

from .markup import attributes_of

_TRACKING = re.compile(
    r"(?:utm_[a-z_]+|fbclid|gclid|gclsrc|dclid|gbraid|wbraid|msclkid|yclid|twclid|ttclid|igshid|li_fat_id"
    r"|mc_cid|mc_eid|_hsenc|_hsmi|__hstc|__hssc|hsctatracking|mkt_tok|vero_id|vero_conv|oly_enc_id|oly_anon_id"
    r"|wickedid|s_cid|_openstat|rb_clickid|ml_subscriber|ml_subscriber_hash|mibextid)\Z",
    re.IGNORECASE,
)
_IMAGE = re.compile(
    r"<img\b((?:[^\s=>]++|\s++|=\s*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^\s>]*+))*+)(?:>|\Z)", re.I
)
_HREF = re.compile(r"(\bhref\s*+=\s*+)(\"[^\"]*+\"|'[^']*+')", re.IGNORECASE)
_TINY = re.compile(r"\s*[01]?(?:\.\d+)?\s*(?:px)?\s*\Z", re.IGNORECASE)
_TINY_STYLE = re.compile(r"(?:^|;)\s*(?:width|height)\s*:\s*[01](?:px)?\s*(?:;|!|$)|display\s*:\s*none", re.I)


def sanitised(html: str) -> str:
    """Return the HTML without scripts, forms and the like; within the depth limit, for nh3 is quadratic."""
    return nh3.clean(html, link_rel="noopener noreferrer nofollow")


def cleaned(html: str) -> str:
    """Return the HTML without tracking pixels, and its links without tracking parameters."""
    html = _IMAGE.sub(lambda tag: "" if _is_pixel(tag[1]) else tag[0], html)
    return _HREF.sub(lambda found: found[1] + found[2][0] + untracked(found[2][1:-1]) + found[2][0], html)


def untracked(url: str) -> str:
    """
    Return the URL without tracking parameters.

    Works on the raw query string (an HTML attribute's "&amp;" included), so that all else stays as it
    was, character by character: signed links break otherwise.
    """
    head, question, tail = url.partition("?")
    if not question:
        return url
    query, hash_sign, fragment = tail.partition("#")
    separator = "&amp;" if "&amp;" in query else "&"
    parts = query.split(separator)
    kept = [part for part in parts if not _TRACKING.match(part.partition("=")[0])]
    if len(kept) == len(parts):
        return url
    return head + ("?" + separator.join(kept) if kept else "") + hash_sign + fragment


def _is_pixel(attributes: str) -> bool:
    found = attributes_of(attributes)
    if (
        "width" in found
        and "height" in found
        and _TINY.match(found["width"])
        and _TINY.match(found["height"])
    ):
        return True
    return bool(_TINY_STYLE.search(found.get("style", "")))
