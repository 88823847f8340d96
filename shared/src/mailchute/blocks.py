"""What someone refuses: networks of clients, addresses and domains of senders."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterable
from typing import Literal, get_args

from mailchute.envelope import DOMAIN_MAX_OCTETS, Path
from mailchute.errors import MalformedPath
from mailchute.names import ascii_name, parents_of

BlockKind = Literal["address", "domain", "network"]
KINDS: tuple[BlockKind, ...] = get_args(BlockKind)

_LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")
_QUOTED_NEEDLESSLY = re.compile(r'"([^\s"\\()<>\[\]:;@,]+)"@')


class Blocks:
    """
    Entries to look senders and clients up in; a thousand cost no more than one.

    Args:
        entries: Kind and value as `canonical` returns it; one that cannot be read blocks nobody.
    """

    def __init__(self, entries: Iterable[tuple[str, str]] = ()) -> None:
        self._names: set[str] = set()  # domains, and addresses, which have an @
        self._networks: dict[tuple[int, int], set[int]] = {}  # by IP version and prefix length
        for kind, value in entries:
            if kind == "network":
                self._add_network(value)
            else:
                self._names.add(value)

    def __len__(self) -> int:
        return len(self._names) + sum(map(len, self._networks.values()))

    def has_client(self, client_ip: str) -> bool:
        if not self._networks:
            return False
        try:
            address = ipaddress.ip_address(client_ip)
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        number, width = int(address), address.max_prefixlen
        return any(
            version == address.version and number >> (width - prefix) in heads
            for (version, prefix), heads in self._networks.items()
        )

    def has_sender(self, reverse_path: Path | None) -> bool:
        """Whether this sender is refused. The null reverse-path names nobody, so nothing refuses it."""
        if reverse_path is None or not self._names:
            return False
        domain = ascii_name(reverse_path.domain)
        return not self._names.isdisjoint(
            {f"{reverse_path.local_part.lower()}@{domain}", *parents_of(domain)}
        )

    def _add_network(self, value: str) -> None:
        try:
            network = ipaddress.ip_network(value)
        except ValueError:
            return
        head = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
        self._networks.setdefault((network.version, network.prefixlen), set()).add(head)


def kind_of(text: str) -> BlockKind:
    """Return what an entry is meant as."""
    if "@" in text.removeprefix("@"):
        return "address"
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "network" if "/" in text or ":" in text else "domain"
    return "network"


def canonical(kind: str, text: str) -> str:
    """
    Return the entry in the one spelling that is stored and looked up.

    Args:
        kind: address (ann@spam.test), domain (spam.test, with all below it) or network (192.0.2.0/24).

    Raises:
        ValueError: It is none; the text says what was expected.
    """
    plain = unicodedata.normalize("NFC", text).strip().lower()
    match kind:
        case "address":
            return _address(plain, text)
        case "domain":
            return _domain(plain.removeprefix("@"), text)
        case "network":
            return _network(plain, text)
    raise ValueError(f"{kind!r} is no kind of entry; there are {', '.join(KINDS)}")


def _address(plain: str, text: str) -> str:
    try:
        path = Path.parse(_QUOTED_NEEDLESSLY.sub(r"\1@", plain))
    except MalformedPath as error:
        raise ValueError(f"{text[:99]!r} is no address ({error}); expected ann@spam.example") from error
    if re.search(r"[\x00-\x20\x7f<>]", path.local_part) and not path.local_part.startswith('"'):
        raise ValueError(f"{text[:99]!r} is no address; expected such as ann@spam.example")
    domain = path.domain if path.domain.startswith("[") else _domain(path.domain, text)
    return f"{path.local_part}@{domain}"


def _domain(plain: str, text: str) -> str:
    name = ascii_name(plain)
    labels = name.split(".")
    # RFC 3696, 2: no top-level domain is all digits, so 999.1.1.1 is a mistaken address.
    if len(name) > DOMAIN_MAX_OCTETS or labels[-1].isdigit() or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError(f"{text[:99]!r} is no domain; expected spam.example, which has all below it too")
    return name


def _network(plain: str, text: str) -> str:
    try:
        network = ipaddress.ip_network(plain)
    except ValueError as error:
        raise ValueError(f"{text[:99]!r} is no network; expected such as 192.0.2.0/24 ({error})") from error
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= 96:  # ::ffff:192.0.2.0/120 is what a v6 socket shows
        return str(ipaddress.ip_network((mapped, network.prefixlen - 96)))
    return str(network)
