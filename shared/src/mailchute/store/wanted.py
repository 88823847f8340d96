"""What an account wants its domains, aliases and endpoints to be: the content of a routes file."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from mailchute.alias import (
    BODY_LIMIT_OCTETS,
    INLINE_LIMIT_OCTETS,
    SPAM_THRESHOLD,
    Format,
    Mode,
    Rule,
)

What = Literal["account", "domain", "alias", "endpoint", "rules"]
Kind = Literal["exact", "glob", "regex", "catch-all"]


class WantedEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One URL of one alias, and how it is to be called."""

    url: str
    secret: str | None = None  # None: keep the one there is, or make one
    format: Format = "native"
    include: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    basic_auth: str | None = None
    signing_key: str | None = None  # PEM
    signs_v1a: bool = False
    client_certificate: str | None = None  # PEM, chain and private key
    rate_per_s: float | None = None  # POSTs at most; None: no limit
    wants_challenge: bool = False  # nothing is POSTed before it has echoed one


class WantedAlias(msgspec.Struct, frozen=True, kw_only=True):
    """One local-part, or a pattern of them."""

    name: str  # as its owner wrote it
    kind: Kind
    match: str  # exact: lower case; glob, regex: RE2 that the whole local-part matches; catch-all: ""
    priority: int = 0  # of patterns: the highest goes first
    endpoints: tuple[WantedEndpoint, ...]
    rules: tuple[Rule, ...] = ()
    mode: Mode = "async"
    inline_limit_octets: int = INLINE_LIMIT_OCTETS
    body_limit_octets: int = BODY_LIMIT_OCTETS
    spam_enabled: bool = True
    spam_threshold: float = SPAM_THRESHOLD


class WantedDomain(msgspec.Struct, frozen=True, kw_only=True):
    """One domain, or `*.` and a domain."""

    name: str  # lower case
    aliases: tuple[WantedAlias, ...]
    requires_tls: bool = False  # no mail over a session in clear
    rules: tuple[Rule, ...] = ()  # asked after those of each alias


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """All that a routes file says."""

    domains: tuple[WantedDomain, ...]
    retention_s: int | None = None  # how long a mail is kept after its end; None: as it is


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that differs between what is wanted and what is there."""

    kind: Literal["add", "change", "remove"]
    what: What
    name: str  # "inbox.test", "support@inbox.test", "support@inbox.test → https://…"
    id: str  # of the row; of a rule list, its alias's or domain's
    fields: tuple[str, ...] = ()  # change: which
    before: dict[
        str, Any
    ] = {}  # change: the values of these fields; of what is sealed only whether it is set
    after: dict[str, Any] = {}
    secret: str | None = None  # an endpoint's that was generated now: its owner must be shown it


def changed(what: What, name: str, row_id: str, before: dict[str, Any], after: dict[str, Any]) -> Change:
    """Return the change of these fields."""
    return Change(
        kind="change", what=what, name=name, id=row_id, fields=tuple(after), before=before, after=after
    )
