"""
Links that stand in plain text, found the way linkify-it finds them, in time linear in the text.

linkify-it-py itself takes 9 ms for 5 KB with twenty links; it is the oracle in tests, and its list of
top-level domains is what bare names are held against.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from linkify_it import LinkifyIt

# A letter of a host name is anything that is no blank, control or punctuation: names of all scripts.
_P = (
    "^\\s!-/:-@\\[-`{-~\\x00-\\x1f\\x7f-\\xa0\u00a1\u00a7\u00ab\u00b6\u00b7\u00bb\u00bf"
    "\u2000-\u206f\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
_LABEL = f"[{_P}](?:(?:-|[{_P}]){{0,61}}[{_P}])?"
_PORT = r"(?::(?:6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|\d{1,4}))?"
_HOST_END = rf"(?![-_]|:\d|\.-|\.?[{_P}])"
_AUTHORITY = r"(?:[^\s@/\[\]()<>\uff5c]{1,64}@)?"
_ROOTS = LinkifyIt().re["src_tlds"] + "|app|cloud|dev|online|site|store|tech"
_IP4 = r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
# The path ends before what closes a sentence or a bracket that was open around it. What stands between
# brackets is looked through for at most 500 characters, so that many open ones do not cost a square.
_PATH = (
    r"(?:[/?#](?:[^\s\x00-\x1f<>\uff5c()\[\]{}.,\"'?!;-]"
    r"|\[[^\s\]]{0,500}\]|\([^\s)]{0,500}\)|\{[^\s}]{0,500}\}|\"[^\s\"]{1,500}\"|'[^\s']{1,500}'|'(?=[\w-])"
    r"|\.{2,64}[a-zA-Z0-9%/&]|\.(?![\s.]|\Z)|-|,(?!\s|\Z)|;(?!\s|\Z)|!+(?![\s!]|\Z)|\?(?![\s?]|\Z))++|/)?"
)
_FULL = re.compile(rf"{_AUTHORITY}(?>{_LABEL}(?:\.{_LABEL}){{0,30}}){_PORT}{_HOST_END}{_PATH}")
_SCHEMELESS = re.compile(
    rf"{_AUTHORITY}(?>localhost(?![\w.-])|{_LABEL}(?:\.{_LABEL}){{1,30}}){_PORT}{_HOST_END}{_PATH}", re.I
)
_HOST = re.compile(rf"(?>{_LABEL}(?:\.{_LABEL}){{0,30}})")
_ROOT = re.compile(rf"(?:{_ROOTS})\Z", re.IGNORECASE)
_IP = re.compile(rf"{_IP4}\Z")
_AFTER_HOST = re.compile(rf"{_PORT}{_HOST_END}(?!@)(?P<path>{_PATH})")
# What every link has; a class of single characters, for which the search is fastest.
_SIGN = re.compile(r"[:/@.](?=\S)")
_SCHEME = re.compile(r"(?<![^\W_])(?:https?|ftp|mailto)\Z", re.IGNORECASE)
_LOCAL_PART = re.compile(r"(?:\A|[\s><\uff5c\"(])([-;:&=+$,.\w][-;:&=+$,\".\w]{0,63})\Z", re.ASCII)
_LAST_LABEL = re.compile(
    rf"(?:\A|(?![.:/\-_@])[\s$+<=>^`|\uff5c!-/:-@\[-`{{-~\u2000-\u206f\u3000-\u303f])({_LABEL})\Z"
)
_ENDED = re.compile(_HOST_END)
_QUERY = re.compile(r"\?[^\s<>\"]*")
_EMAIL_NAME = re.compile(r"[-;:&=+$,.\w][-;:&=+$,\".\w]{0,63}@", re.ASCII)


def links_in(text: str) -> Iterator[tuple[str, str]]:
    """Yield (as written, URL) for each link; a bare name gets http://, a bare address mailto:."""
    done = 0
    for sign in _SIGN.finditer(text):
        at = sign.start()
        if at < done:
            continue
        span = _SPANS[sign[0]](text, at, done)
        if span is None:
            continue
        begin, done, prefix = span
        written = text[begin:done]
        yield written, prefix + written


_Span = tuple[int, int, str] | None  # where the link begins and ends, and what its URL lacks


def _with_scheme(text: str, at: int, done: int) -> _Span:
    """Read a link at the colon after its scheme."""
    scheme = _SCHEME.search(text, max(done, at - 7), at)
    if scheme is None or (scheme.start() and text[scheme.start() - 1] == "_"):
        return None
    if scheme[0].lower() == "mailto":
        name = _EMAIL_NAME.match(text, at + 1)
        host = _HOST.match(text, name.end()) if name else None
        if host is None or _ENDED.match(text, host.end()) is None:
            return None
        query = _QUERY.match(text, host.end())
        return scheme.start(), query.end() if query else host.end(), ""
    full = _FULL.match(text, at + 3) if text.startswith("//", at + 1) else None
    return None if full is None else (scheme.start(), full.end(), "")


def _without_scheme(text: str, at: int, done: int) -> _Span:
    before = text[at - 1] if at > done else " "
    if not text.startswith("//", at) or before in ":/" or before.isalnum() or before == "_":
        return None
    found = _SCHEMELESS.match(text, at + 2)
    return None if found is None else (at, found.end(), "")


def _address(text: str, at: int, done: int) -> _Span:
    local_part = _LOCAL_PART.search(text, max(done, at - 65), at)
    end = _known_host_end(text, at + 1, with_path=False) if local_part else None
    return None if local_part is None or end is None else (local_part.start(1), end, "mailto:")


def _bare_name(text: str, at: int, done: int) -> _Span:
    label = _LAST_LABEL.search(text, max(done, at - 64), at)
    end = _known_host_end(text, label.start(1), with_path=True) if label else None
    return None if label is None or end is None else (label.start(1), end, "http://")


_SPANS: dict[str, Callable[[str, int, int], _Span]] = {
    ":": _with_scheme,
    "/": _without_scheme,
    "@": _address,
    ".": _bare_name,
}


def _known_host_end(text: str, at: int, *, with_path: bool) -> int | None:
    """Return where the host that begins here ends, with what follows it, or None: no root we know."""
    host = _HOST.match(text, at)
    if host is None:
        return None
    name = host[0]
    _, dot, root = name.rpartition(".")
    if not dot or not (_ROOT.match(root) or (with_path and _IP.match(name))):
        return None
    after = _AFTER_HOST.match(text, host.end())
    if after is None:
        return None
    return after.end() if with_path else host.end()
