"""Reads the arguments of MAIL and RCPT: a path and its parameters (RFC 5321, 4.1.2; RFC 6531 for UTF-8)."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from functools import lru_cache

from mailchute.envelope import Path
from mailchute.errors import MalformedPath

PATH_MAX_OCTETS = 256  # RFC 5321, 4.5.3.1.3, with the angle brackets
LABEL_MAX_OCTETS = 63  # RFC 1035, 2.3.4

_ATOM = r"[^\x00-\x20\x7f()<>\[\]:;@\\,.\"]+"
_DOT_STRING = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_QUOTED = re.compile(r'"(?:[^\x00-\x1f\x7f"\\]|\\[\x20-\x7e])*"')
_LABEL = re.compile(r"[^\W_](?:[\w-]*[^\W_])?")
_SOURCE_ROUTE = re.compile(r"@[^\s:@,]+(?:,@[^\s:@,]+)*:")
_ENCLOSED = re.compile(r'<((?:[^<>"]|"(?:[^"\\]|\\.)*")*)>(?:[ \t]+(.*))?', re.DOTALL)
_BARE = re.compile(r"([^\s<>]+)(?:[ \t]+(.*))?", re.DOTALL)


class BadSyntax(Exception):
    """The argument is no path with parameters."""


def argument(text: str | None, keyword: str) -> tuple[str, dict[str, str | None]]:
    """
    Divide `FROM:<path> NAME=value …` into the path, without its brackets, and its parameters.

    Brackets may be missing, as Postfix allows too (strict_rfc821_envelopes = no). Names come in upper
    case, values as they were written.

    Raises:
        BadSyntax: There is no keyword, no path, or a parameter comes twice.
    """
    if not text or text[: len(keyword)].upper() != keyword:
        raise BadSyntax
    rest = text[len(keyword) :].strip(" \t")
    found = _ENCLOSED.fullmatch(rest) if rest.startswith("<") else _BARE.fullmatch(rest)
    if found is None:
        raise BadSyntax
    parameters: dict[str, str | None] = {}
    for word in (found[2] or "").split():
        name, equals, value = word.partition("=")
        if not name or name.upper() in parameters or (equals and not value):
            raise BadSyntax
        parameters[name.upper()] = value if equals else None
    return found[1], parameters


@lru_cache(4_096)
def path_of(text: str) -> Path:
    """
    Return the mailbox; a source route before it is dropped (RFC 5321, appendix F.2).

    A quoted local-part that needs no quotes loses them (4.1.2), so that both spellings are one alias.

    Raises:
        MalformedPath: It is no mailbox, or longer than RFC 5321 allows.
    """
    if len(text.encode(errors="surrogateescape")) + 2 > PATH_MAX_OCTETS:
        raise MalformedPath(f"address over {PATH_MAX_OCTETS} octets")
    route = _SOURCE_ROUTE.match(text)
    path = Path.parse(text[route.end() :] if route else text)
    domain = path.domain.removesuffix(".")
    return Path(_local_part(path.local_part), _literal(domain) if domain.startswith("[") else _name(domain))


def is_ascii(path: Path) -> bool:
    return path.local_part.isascii() and path.domain.isascii()


def is_relay_attempt(local_part: str) -> bool:
    """Return whether the local-part names a further hop: user%host, host!user, "user@host"."""
    return any(mark in local_part for mark in "%!@")


def _local_part(text: str) -> str:
    if _DOT_STRING.fullmatch(text):
        return _checked(text)
    if not _QUOTED.fullmatch(text):
        raise MalformedPath("not a local-part")
    plain = re.sub(r"\\(.)", r"\1", text[1:-1])
    return _checked(plain if _DOT_STRING.fullmatch(plain) else text)


def _checked(local_part: str) -> str:
    try:
        local_part.encode()
    except UnicodeEncodeError as error:  # octets that are not UTF-8
        raise MalformedPath("not UTF-8") from error
    # One way to write each: another would look the same and be another alias (RFC 6532, 3.1).
    if not local_part.isascii() and unicodedata.normalize("NFC", local_part) != local_part:
        raise MalformedPath("not in Unicode normalization form C")
    return local_part


def _name(domain: str) -> str:
    for label in domain.split("."):
        if not _LABEL.fullmatch(label) or len(label.encode()) > LABEL_MAX_OCTETS:
            raise MalformedPath("not a domain")
        if label.startswith("xn--"):
            try:
                label[4:].encode().decode("punycode")
            except UnicodeError as error:
                raise MalformedPath("not a domain: an A-label that does not decode") from error
    return domain


def _literal(domain: str) -> str:
    inside = domain[1:-1] if domain.endswith("]") else ""
    try:
        if inside.startswith("ipv6:"):
            ipaddress.IPv6Address(inside[5:])
        else:
            ipaddress.IPv4Address(inside)
    except ValueError as error:
        raise MalformedPath("not an address literal") from error
    return domain
