"""An endpoint: a receiver's URL with its secrets, headers and state. Only deliver holds one."""

from __future__ import annotations

import msgspec

from mailchute.alias import BODY_LIMIT_OCTETS, Format


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What deliver needs to make one attempt. It holds secrets: never logged, never on a stream."""

    id: str
    account_id: str
    url: str
    secrets: tuple[str, ...]  # newest first; two while rotating. "whsec_…" or any text
    format: Format = "native"
    include: tuple[str, ...] = ()  # empty: all but html_safe, html_clean, raw, received
    headers: tuple[tuple[str, str], ...] = ()  # custom header fields, checked when they were set
    basic_auth: str | None = None  # "user:password"
    signing_key: str | None = None  # PEM; None: the installation's own where a format needs one
    body_limit_octets: int = BODY_LIMIT_OCTETS
    is_disabled: bool = False
    disabled_reason: str | None = None  # "gone", "failing", "by its owner"
    is_deleted: bool = False
    signs_v1a: bool = False  # adds an Ed25519 signature (Standard Webhooks v1a) by signing_key
    client_certificate: str | None = None  # PEM, chain and private key: shown where the endpoint wants mTLS
    rate_per_s: float | None = None  # POSTs that it asks for at most; None: no limit
    is_unverified: bool = False  # its owner wants it to echo a challenge, and it has not yet
