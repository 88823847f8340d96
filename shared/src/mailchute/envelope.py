"""The envelope: where a mail came from and where it goes, whatever its header fields say."""

from __future__ import annotations

from typing import Self

import msgspec

from mailchute.errors import MalformedPath

LOCAL_PART_MAX_OCTETS = 64  # RFC 5321, 4.5.3.1.1
DOMAIN_MAX_OCTETS = 255  # RFC 5321, 4.5.3.1.2


class Path(msgspec.Struct, frozen=True):
    """A mailbox as MAIL FROM and RCPT TO name it, without the angle brackets."""

    local_part: str  # case kept: only the destination may interpret it (RFC 5321, 2.4)
    domain: str  # lower case; an IDN as it was written

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read "local-part@domain".

        The last "@" divides, for a quoted local-part may hold others.

        Raises:
            MalformedPath: A part is missing or longer than RFC 5321 allows.
        """
        local_part, _, domain = text.rpartition("@")
        if not local_part or not domain:
            raise MalformedPath("expected local-part@domain")
        if len(local_part.encode(errors="surrogateescape")) > LOCAL_PART_MAX_OCTETS:
            raise MalformedPath(f"local-part over {LOCAL_PART_MAX_OCTETS} octets")
        if len(domain.encode(errors="surrogateescape")) > DOMAIN_MAX_OCTETS:
            raise MalformedPath(f"domain over {DOMAIN_MAX_OCTETS} octets")
        return cls(local_part, domain.lower())

    def __str__(self) -> str:
        return f"{self.local_part}@{self.domain}"


class Tls(msgspec.Struct, frozen=True):
    """The transport security of the session that carried the mail."""

    version: str  # "TLSv1.3"
    cipher: str  # "TLS_AES_256_GCM_SHA384"


class DsnRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which notifications the client asked for (RFC 3461), its words as they were written."""

    notify: tuple[str, ...] = ()  # NEVER, or some of SUCCESS, FAILURE, DELAY; (): as we like
    orcpt: str = ""  # "rfc822;Ann@sender.test", xtext; "": none
    ret: str = ""  # FULL, HDRS; "": as we like
    envid: str = ""  # xtext; "": none


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One recipient's share of an SMTP transaction, and the session it came in."""

    reverse_path: Path | None  # None is the null reverse-path "<>": a DSN; never answer it
    forward_path: Path
    client_ip: str  # "" when not known (a mail handed in by a person, not by SMTP)
    helo: str  # "" when not known
    tls: Tls | None = None  # None: the session was in plain text
    smtputf8: bool = False  # RFC 6531: the client asked for it on MAIL
    listed_by: tuple[str, ...] = ()  # DNS lists (RFC 5782) that name the client and only add to the score
    dsn: DsnRequest | None = None  # None: the client asked for nothing special
