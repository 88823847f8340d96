"""What the flow needs to know of an alias, copied into each mail at the SMTP edge. No secrets."""

from __future__ import annotations

from typing import Literal

import msgspec

INLINE_LIMIT_OCTETS = 192 * 1024  # product text 1: "Inline attachments (<192KB)"
BODY_LIMIT_OCTETS = 10 * 1024 * 1024  # of one POST; beyond it parts turn into URLs
SPAM_THRESHOLD = 5.0  # product text 2: "Reference threshold (typically 5.0)"
RETENTION_S = 3_600  # product text 3: "the default retention is deliberately short"

Format = Literal[
    "native",
    "postmark",
    "mailgun",
    "mailgun-mime",
    "sendgrid",
    "cloudmailin",
    "mailersend",
    "postal",
    "forwardemail",
    "rfc822",
]
Mode = Literal["async", "through"]
Action = Literal["allow", "tag", "block", "route", "drop"]
RAW_FORMATS: frozenset[str] = frozenset(
    {"mailgun-mime", "mailersend", "postal", "forwardemail", "rfc822"}
)  # these carry the content as received, so deliver is given it


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One condition and what follows when it is the first to hold."""

    when: str  # mailchute.expressions; checked when the routes file is read
    then: Action
    notify: bool = False  # block only: tell an authenticated sender by DSN
    tag: str = "spam"  # tag only
    endpoint_url: str | None = None  # route, as its owner wrote it: the only endpoint; None in a snapshot
    endpoint_id: str | None = None  # route, in a snapshot; None: the alias has no such endpoint any more
    drop: tuple[str, ...] = ()  # drop only: which attachments (mailchute.file_patterns)
    words: str | None = None  # notify only: what the sender is told


class EndpointSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint as parse and the connector see it; its URL and secret stay in the directory."""

    id: str
    format: Format = "native"
    include: tuple[str, ...] = ()  # html_safe, html_clean, received: made only when asked for


class AliasSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One alias at the moment a mail for it was accepted."""

    account_id: str
    domain_id: str
    alias_id: str
    address: str  # as its owner wrote it: "support@inbox.test", "*@inbox.test"
    tag: str | None = None  # what stood after the plus sign; None when there was none
    endpoints: tuple[EndpointSnapshot, ...]
    rules: tuple[Rule, ...] = ()  # in order of priority; the first that holds decides
    mode: Mode = "async"
    inline_limit_octets: int = INLINE_LIMIT_OCTETS
    body_limit_octets: int = BODY_LIMIT_OCTETS
    spam_enabled: bool = True
    spam_threshold: float = SPAM_THRESHOLD
    retention_s: int = RETENTION_S
    captures: tuple[str, ...] = ()  # what the pattern's groups (or *, ?) stood for; () for no pattern
    requires_tls: bool = False  # of its domain: no mail over a session in clear
    has_storage: bool = True  # False: its plan has none, what is too large to be inline is left out
    storage_connection_id: str | None = None  # its account's own bucket; None: the installation's
