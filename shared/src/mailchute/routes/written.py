"""A routes file for what an account has: read again, it wants exactly that."""

from __future__ import annotations

from typing import Any

import yaml

from mailchute.alias import INLINE_LIMIT_OCTETS, SPAM_THRESHOLD, Rule
from mailchute.store.wanted import Wanted, WantedAlias, WantedDomain, WantedEndpoint

_RATE_UNITS_S = {"s": 1, "min": 60, "h": 3_600}


def routes_text(wanted: Wanted) -> str:
    """Return the file; a domain without an alias, which no file can hold, is left out."""
    document: dict[str, Any] = {"version": 1}
    if wanted.retention_s is not None:
        document["retention"] = f"{wanted.retention_s}s"
    document["domains"] = {one.name: _domain(one) for one in wanted.domains if one.aliases}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def _domain(one: WantedDomain) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if one.requires_tls:
        said["tls"] = "required"
    if one.rules:
        said["rules"] = [_rule(each) for each in one.rules]
    return said | {each.name: _alias(each) for each in one.aliases}


def _alias(one: WantedAlias) -> Any:
    said: dict[str, Any] = {"endpoints": [_endpoint(each) for each in one.endpoints]}
    if one.rules:
        said["rules"] = [_rule(each) for each in one.rules]
    if one.priority:
        said["priority"] = one.priority
    if one.mode != "async":
        said["mode"] = one.mode
    if one.inline_limit_octets != INLINE_LIMIT_OCTETS:
        said["attachments"] = {"inline_below": f"{one.inline_limit_octets}B"}
    if not one.spam_enabled:
        said["spam"] = {"enabled": False}
    if one.spam_threshold != SPAM_THRESHOLD:
        said.setdefault("spam", {})["threshold"] = one.spam_threshold
    (only, *others) = said["endpoints"] or [None]
    return only if len(said) == 1 and not others and isinstance(only, str) else said


def _endpoint(one: WantedEndpoint) -> Any:
    said: dict[str, Any] = {"url": one.url}
    for name in ("secret", "basic_auth", "signing_key", "client_certificate"):
        if getattr(one, name) is not None:
            said[name] = getattr(one, name)
    if one.format != "native":
        said["format"] = one.format
    if one.include:
        said["include"] = list(one.include)
    if one.headers:
        said["headers"] = dict(one.headers)
    if one.signs_v1a:
        said["signature"] = "v1a"
    if one.rate_per_s is not None:
        said["rate"] = _rate(one.rate_per_s)
    if one.wants_challenge:
        said["verify"] = True
    return one.url if len(said) == 1 else said


def _rule(one: Rule) -> dict[str, Any]:
    said: dict[str, Any] = {"if": one.when, "then": one.then}
    if one.then == "tag" and one.tag != "spam":
        said["tag"] = one.tag
    if one.endpoint_url is not None:
        said["to"] = one.endpoint_url
    if one.drop:
        said["attachments"] = "all" if one.drop == ("*",) else list(one.drop)
    return said


def _rate(per_s: float) -> str:
    for unit, unit_s in _RATE_UNITS_S.items():
        count = per_s * unit_s
        if abs(count - round(count)) < 1e-9:
            return f"{round(count)}/{unit}"
    return f"{per_s:.12f}/s"
