"""The links of a mail, and what is suspicious about them."""

from __future__ import annotations

import ipaddress
import itertools
import re
import tomllib
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

LINKS_MAX_COUNT = 200
URL_MAX_CHARS = 2_000

_NAMES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
SHORTENERS = frozenset(_NAMES["shorteners"])
IMPERSONATED = frozenset(_NAMES["impersonated"])

# Both begin with a literal, and not with a letter of either case: that makes the search several times faster.
_AFTER_SCHEME = re.compile(rf"://[^\s\"'<>()\[\]{{}}|\\^`\x00-\x1f]{{3,{URL_MAX_CHARS}}}")
_ANCHOR = re.compile(rf"<[aA]\s([^<>]{{1,{URL_MAX_CHARS + 500}}}+)>(.{{0,300}}?)</[aA]", re.DOTALL)
_HREF = re.compile(rf"[hH][rR][eE][fF]\s*=\s*[\"']?([^\"'\s>]{{3,{URL_MAX_CHARS}}})")
# Most URLs are so plain that every reader sees the same host; urlsplit reads the rest, in ten times the time.
_PLAIN = re.compile(r"[hH][tT][tT][pP][sS]?://([A-Za-z0-9._-]++)(?::[0-9]++)?(?=[/?#]|\Z)")
_DISGUISED = re.compile(r"https?://[^/?#]*(?:@|:(?!80(?![0-9])|443(?![0-9]))[0-9])")
_SHOWN_HOST = re.compile(
    r"(?:https?://)?((?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,24})(?:[/:?#]\S*)?", re.IGNORECASE
)
_TAG = re.compile(r"<[^>]{0,500}>")
_SKELETON = str.maketrans("013456789|!", "oieasgtbgll")


@dataclass
class Links:
    """What a mail links to."""

    urls: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)  # lower case, each once
    mismatched: list[str] = field(default_factory=list)  # hosts behind a text that names another
    looks_alike: list[str] = field(default_factory=list)  # hosts dressed up as another name
    shortened: list[str] = field(default_factory=list)
    raw_ips: list[str] = field(default_factory=list)
    punycode: list[str] = field(default_factory=list)
    disguised: list[str] = field(default_factory=list)  # URLs with a user or another port about their host


def links_of(text: str, html: str, *, known: Collection[str] = ()) -> Links:
    """
    Return the links of a text and its HTML form.

    Args:
        known: Domains that a forger would imitate here: the author's and the recipient's.
    """
    found = Links()
    found.urls = list(dict.fromkeys(itertools.islice(_urls_in(text, html), LINKS_MAX_COUNT)))
    found.hosts = list(dict.fromkeys(host for host in map(host_of, found.urls) if host))
    found.disguised = [url for url in found.urls if _DISGUISED.match(url)]
    found.mismatched = list(_mismatched(html))
    real = IMPERSONATED.union(known)
    for host in found.hosts:
        if _is_ip(host):
            found.raw_ips.append(host)
        if "xn--" in host:
            found.punycode.append(host)
        if host in SHORTENERS:
            found.shortened.append(host)
        if _imitates(host, real):
            found.looks_alike.append(host)
    return found


def _mismatched(html: str) -> Iterator[str]:
    """Yield the hosts of links whose text names another."""
    for anchor in itertools.islice(_ANCHOR.finditer(html), LINKS_MAX_COUNT):
        if "." not in anchor[2]:
            continue  # names no host
        href = _HREF.search(anchor[1])
        shown = _SHOWN_HOST.fullmatch(_TAG.sub("", anchor[2]).strip())
        host = host_of(href[1]) if href and shown else None
        if shown and host and not _are_related(shown[1].lower(), host):
            yield host


def _urls_in(*texts: str) -> Iterator[str]:
    for text in texts:
        for match in _AFTER_SCHEME.finditer(text):
            before = text[max(0, match.start() - 5) : match.start()].lower()
            if before.endswith(("http", "https")):
                yield ("https" if before == "https" else "http") + match.group()


def host_of(url: str) -> str | None:
    """Return the host a URL goes to, in lower case; None when it has none."""
    plain = _PLAIN.match(url)
    if plain is not None:
        return plain[1].lower().rstrip(".")
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return None
    return host.rstrip(".") if host else None


def domains_of(hosts: Iterable[str]) -> list[str]:
    """Return the names under which lists may know these hosts: the last two labels, and the last three."""
    names: dict[str, None] = {}
    for host in hosts:
        labels = host.split(".")
        if len(labels) >= 2 and not _is_ip(host):
            names[".".join(labels[-2:])] = None
            if len(labels) >= 3 and len(labels[-2]) <= 3:  # co.uk, com.br
                names[".".join(labels[-3:])] = None
    return list(names)


def _are_related(one: str, other: str) -> bool:
    return one.split(".")[-2:] == other.split(".")[-2:]


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.replace(".", "").isdigit()
    return True


def _imitates(host: str, real: Collection[str]) -> bool:
    """Say whether a host's name reads like one of the real ones, and is not it."""
    own = ".".join(host.split(".")[-2:])
    if own in real:
        return False
    shown = _decoded(own)
    if len({_script(c) for c in shown.partition(".")[0] if c.isalpha()}) > 1:
        return True  # one word in two alphabets
    skeleton = _skeleton(shown)
    return any(
        skeleton == _skeleton(name) or host.startswith(f"{name}.") or f".{name}." in host for name in real
    )


def _decoded(host: str) -> str:
    try:
        return host.encode("ascii").decode("idna")
    except UnicodeError:
        return host


def _script(character: str) -> str:
    return unicodedata.name(character, "?").partition(" ")[0]


def _skeleton(name: str) -> str:
    """Return what the name looks like at a glance (after Unicode TR 39, much reduced)."""
    plain = unicodedata.normalize("NFKD", name.lower())
    plain = "".join(_LATIN.get(c, c) for c in plain if not unicodedata.combining(c))
    return plain.translate(_SKELETON).replace("rn", "m").replace("vv", "w").replace("l", "i")


_LATIN = dict(zip("авеіјкмнорѕтухһԁӏοαρνι", "abeijkmhopstyxhdloapvi", strict=True))
