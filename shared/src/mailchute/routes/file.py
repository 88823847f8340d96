"""
The routes file: which address goes to which endpoint, under version control.

    version: 1
    retention: 24h            # of a mail after its end; without it: as it is, at first 1h
    domains:
      inbox.example:
        tls: required         # no mail over a session in clear
        rules: [{if: "virus == true", then: block}]     # after those of each alias
        support: https://api.example/tickets
        order-*:
          endpoints: [{url: https://api.example/orders, format: postmark}]
          rules: [{if: "spam.score >= 7", then: block}]
          preset: public      # mailchute.presets

Read whole, every mistake is found in one go, each with its line.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

import yaml

from mailchute.alias import (
    BODY_LIMIT_OCTETS,
    INLINE_LIMIT_OCTETS,
    SPAM_THRESHOLD,
    Mode,
    Rule,
)
from mailchute.errors import BadSetting
from mailchute.routes.endpoints import NOT_BUILT, read_endpoints
from mailchute.routes.located import FILE_MAX_OCTETS, Located, Mistakes, given, located
from mailchute.routes.rules import check_reach, read_preset, read_rules
from mailchute.routes.units import octets_of, seconds_of
from mailchute.routes.values import check_domain, check_url, read_local_part
from mailchute.store.wanted import Wanted, WantedAlias, WantedDomain, WantedEndpoint

PRIORITY_MAX = 1_000_000
RETENTION_MAX_S = 365 * 86_400


def read_routes(path: Path) -> Wanted:
    """
    Return what the file wants.

    Raises:
        BadSetting: It cannot be read, or holds mistakes: one line for each, beginning `file:line:`.
    """
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise BadSetting(f"the routes file {path} cannot be read: {error.strerror}") from None
    if len(octets) > FILE_MAX_OCTETS:
        raise BadSetting(f"the routes file {path} is over {FILE_MAX_OCTETS} octets")
    try:
        text = octets.decode()
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise BadSetting(f"{path}:{line}: not UTF-8") from None
    return parse_routes(text, file=str(path))


def parse_routes(text: str, *, file: str = "routes.yml") -> Wanted:
    """Return what this text wants. Raises: as read_routes."""
    mistakes = Mistakes(file)
    top = located(text, mistakes).fields(("version", "retention", "domains"), refused=NOT_BUILT)
    if "version" not in top:
        mistakes.note(1, "version is missing; expected `version: 1`")
    elif top["version"].text("1") not in ("1", None):
        top["version"].wrong("this release reads version 1")
    domains: tuple[WantedDomain, ...] = ()
    if "domains" not in top:
        mistakes.note(1, "domains is missing; expected a mapping of domains to their aliases")
    else:
        domains = _domains(top["domains"])
    retention_s = given(top, "retention", lambda one: one.checked(_retention, "a time such as 24h"))
    mistakes.check()
    return Wanted(domains=domains, retention_s=retention_s)


def _retention(text: str) -> int:
    retention_s = seconds_of(text)
    if retention_s > RETENTION_MAX_S:
        raise ValueError(f"{text} is over {RETENTION_MAX_S // 86_400} days")
    return retention_s


def _domains(place: Located) -> tuple[WantedDomain, ...]:
    found: dict[str, WantedDomain] = {}
    for key, value in place.entries("a mapping of domains to their aliases").items():
        name = value.checked_key(check_domain, key)
        if name is None:
            continue
        if name in found:
            value.wrong_key("the same domain stands here twice; case makes no difference")
            continue
        aliases: dict[str, WantedAlias] = {}
        entries = value.entries("a mapping of aliases to where their mail goes")
        requires_tls = _is_word(entries.get("tls")) and entries.pop("tls").choice(("required",)) is not None
        rules = _domain_rules(entries)
        for local_part, spec in entries.items():
            alias = _alias(local_part, spec)
            if alias is not None:
                check_reach((*alias.rules, *rules), alias, spec)
            if alias is not None and local_part.lower() in aliases:
                spec.wrong_key("the same alias stands here twice; case makes no difference")
            elif alias is not None:
                aliases[local_part.lower()] = alias
        if not aliases:
            value.wrong_key("has no alias; take the domain out, or give it one")
        found[name] = WantedDomain(
            name=name, aliases=tuple(aliases.values()), requires_tls=requires_tls, rules=rules
        )
    return tuple(found.values())


def _domain_rules(entries: dict[str, Located]) -> tuple[Rule, ...]:
    """Take the domain's own rules out of its entries: an alias called rules is no list, preset no word."""
    rules: tuple[Rule, ...] = ()
    if "rules" in entries and isinstance(entries["rules"].node, yaml.SequenceNode):
        rules = read_rules(entries.pop("rules"))
    if _is_word(entries.get("preset")):
        rules += read_preset(entries.pop("preset"))
    return rules


def _is_word(place: Located | None) -> bool:
    """Return whether this is a setting: an alias called tls goes to a URL, or is a mapping."""
    return place is not None and place.is_text and "://" not in (place.text("a word") or "")


def _alias(name: str, place: Located) -> WantedAlias | None:
    kind_and_match = place.checked_key(read_local_part, name)
    if kind_and_match is None:
        return None
    kind, match = kind_and_match
    if place.is_text:
        url = place.checked(check_url, "a URL")
        return WantedAlias(name=name, kind=kind, match=match, endpoints=(WantedEndpoint(url=url or ""),))
    fields = place.fields(
        ("endpoints", "rules", "preset", "attachments", "mode", "priority", "spam"), refused=NOT_BUILT
    )
    if "endpoints" not in fields:
        place.wrong_key("endpoints is missing; expected `endpoints: [{url: https://…}]`")
    if fields.get("priority") and kind not in ("glob", "regex"):
        fields["priority"].wrong_key("only patterns have a priority: exact goes first, the catch-all last")
    priority = given(fields, "priority", lambda one: one.number(0, PRIORITY_MAX))
    spam = fields["spam"].fields(("enabled", "threshold")) if "spam" in fields else {}
    spam_enabled = given(spam, "enabled", Located.flag)
    threshold = given(spam, "threshold", lambda one: one.number(-100, 1_000))
    mode = given(fields, "mode", lambda one: one.choice(get_args(Mode)))
    return WantedAlias(
        name=name,
        kind=kind,
        match=match,
        mode=cast("Mode", mode or "async"),
        priority=int(priority or 0),
        endpoints=read_endpoints(fields["endpoints"]) if "endpoints" in fields else (),
        rules=_rules(fields),
        inline_limit_octets=_inline_limit(fields),
        spam_enabled=True if spam_enabled is None else spam_enabled,
        spam_threshold=SPAM_THRESHOLD if threshold is None else threshold,
    )


def _rules(fields: dict[str, Located]) -> tuple[Rule, ...]:
    own = read_rules(fields["rules"]) if "rules" in fields else ()
    return own + (read_preset(fields["preset"]) if "preset" in fields else ())


def _inline_limit(fields: dict[str, Located]) -> int:
    if "attachments" not in fields:
        return INLINE_LIMIT_OCTETS
    inner = fields["attachments"].fields(("inline_below",), refused=NOT_BUILT)

    def within(text: str) -> int:
        size_octets = octets_of(text)
        if size_octets > BODY_LIMIT_OCTETS * 3 // 4:  # base64 makes 4 of 3
            raise ValueError(f"{text} inline would not fit into a body of {BODY_LIMIT_OCTETS} octets")
        return size_octets

    limit = given(inner, "inline_below", lambda one: one.checked(within, "a size such as 192KiB"))
    return INLINE_LIMIT_OCTETS if limit is None else limit
