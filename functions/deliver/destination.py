"""An endpoint's URL, read once and strictly: what is dialled is what was read, never the text again."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import SplitResult, quote, urlsplit

import idna

from .faults import EndpointFault

DEFAULT_PORTS = {"https": 443, "http": 80}
URL_MAX_CHARACTERS = 2_048  # what browsers and proxies agree on
NAME_MAX_OCTETS = 253  # RFC 1035, 2.3.4, without the root's dot

_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f\\]")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_TARGET_SAFE = "/?:@!$&'()*+,;=-._~%[]"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where a POST goes: the host is either a name still to be resolved or an address already."""

    scheme: str  # "https", "http"
    host: str  # a name in its ASCII form, or an address in its usual form without brackets
    address: Address | None  # None: the host is a name
    port: int
    target: str  # path and query, as the request line carries them

    @property
    def authority(self) -> str:
        """The Host field (RFC 9110, 7.2): without the port where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


@lru_cache(maxsize=4_096)
def destination_of(url: str) -> Destination:
    """
    Return where this URL points.

    Raises:
        EndpointFault: It is no URL that we POST to; the text does not repeat it, for it may hold a secret.
    """
    if len(url) > URL_MAX_CHARACTERS or _CONTROL.search(url):
        raise EndpointFault("the URL is too long, or holds blanks, controls or backslashes; set another")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise EndpointFault("the URL cannot be read; set another") from error
    if parts.scheme not in DEFAULT_PORTS:
        raise EndpointFault("the URL is not https; set one that is")
    if "@" in parts.netloc:
        raise EndpointFault("the URL holds a user or password; set basic_auth instead")
    if parts.fragment or "#" in url:
        raise EndpointFault("the URL holds a fragment, which no server sees; remove it")
    host, address = _host_of(parts)
    target = quote(parts.path or "/", safe=_TARGET_SAFE)
    if parts.query:
        target += "?" + quote(parts.query, safe=_TARGET_SAFE)
    return Destination(
        scheme=parts.scheme,
        host=host,
        address=address,
        port=DEFAULT_PORTS[parts.scheme] if port is None else port,
        target=target,
    )


def _host_of(parts: SplitResult) -> tuple[str, Address | None]:
    host = (parts.hostname or "").removesuffix(".")
    if "[" in parts.netloc:
        try:
            address = ipaddress.IPv6Address(host)
        except ValueError as error:
            raise EndpointFault("the URL's host is no IPv6 address; correct it") from error
        if address.scope_id is not None:
            raise EndpointFault("the URL's host has a zone, which only one machine understands; remove it")
        return str(address), address
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode()
        except idna.IDNAError as error:
            raise EndpointFault("the URL's host is no domain name (IDNA 2008); correct it") from error
    # Last label a number: an address, and only in its usual form. 127.1, 0177.0.0.1 and 2130706433 mean
    # 127.0.0.1 to some programs and nothing to others (URL Standard, 3.5, "ends in a number").
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            return host, ipaddress.IPv4Address(host)
        except ValueError as error:
            raise EndpointFault("the URL's host is an address in an unusual form; change it") from error
    if not _NAME.fullmatch(host) or len(host) > NAME_MAX_OCTETS:
        raise EndpointFault("the URL's host is no domain name; correct it")
    return host, None
