"""
The routes file: which address goes to which endpoint, under version control.

    version: 1
    domains:
      inbox.example:
        support: https://api.example/tickets
        order-*:
          endpoints: [{url: https://api.example/orders, format: postmark}]
          rules: [{if: "spam.score >= 7", then: block}]

Read whole, every mistake is found in one go, each with its line.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

from mailchute.alias import (
    BODY_LIMIT_OCTETS,
    INLINE_LIMIT_OCTETS,
    SPAM_THRESHOLD,
    Action,
    Format,
    Rule,
)
from mailchute.errors import BadSetting
from mailchute.expressions import RULE_FACTS, ExpressionError, compile_expression
from mailchute.store.wanted import WantedAlias, WantedDomain, WantedEndpoint

from .located import FILE_MAX_OCTETS, Located, Mistakes, located
from .route_values import (
    HEADERS_MAX_COUNT,
    check_basic_auth,
    check_domain,
    check_header,
    check_secret,
    check_signing_key,
    check_url,
    read_local_part,
)
from .units import octets_of

ENDPOINTS_MAX_COUNT = 10  # of one alias: a mail is POSTed to each
RULES_MAX_COUNT = 100  # of one alias
PRIORITY_MAX = 1_000_000
INCLUDE = ("html_safe", "html_clean")

_NOT_YET = "is not built yet; take it out"
_NOT_BUILT = {
    "residency": f"data residency {_NOT_YET}",
    "data_residency": f"data residency {_NOT_YET}",
    "storage": f"a storage connection of your own {_NOT_YET}",
}

Value = TypeVar("Value")


def read_routes(path: Path) -> tuple[WantedDomain, ...]:
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


def parse_routes(text: str, *, file: str = "routes.yml") -> tuple[WantedDomain, ...]:
    """Return what this text wants. Raises: as read_routes."""
    mistakes = Mistakes(file)
    top = located(text, mistakes).fields(("version", "domains"), refused=_NOT_BUILT)
    if "version" not in top:
        mistakes.note(1, "version is missing; expected `version: 1`")
    elif top["version"].text("1") not in ("1", None):
        top["version"].wrong("this release reads version 1")
    domains: tuple[WantedDomain, ...] = ()
    if "domains" not in top:
        mistakes.note(1, "domains is missing; expected a mapping of domains to their aliases")
    else:
        domains = _domains(top["domains"])
    mistakes.check()
    return domains


def _domains(place: Located) -> tuple[WantedDomain, ...]:
    found: dict[str, WantedDomain] = {}
    for key, value in place.entries("a mapping of domains to their aliases").items():
        name = _checked(value, check_domain, key, of_key=True)
        if name is None:
            continue
        if name in found:
            value.wrong_key("the same domain stands here twice; case makes no difference")
            continue
        aliases: dict[str, WantedAlias] = {}
        for local_part, spec in value.entries("a mapping of aliases to where their mail goes").items():
            alias = _alias(local_part, spec)
            if alias is not None and local_part.lower() in aliases:
                spec.wrong_key("the same alias stands here twice; case makes no difference")
            elif alias is not None:
                aliases[local_part.lower()] = alias
        if not aliases:
            value.wrong_key("has no alias; take the domain out, or give it one")
        found[name] = WantedDomain(name=name, aliases=tuple(aliases.values()))
    return tuple(found.values())


def _alias(name: str, place: Located) -> WantedAlias | None:
    kind_and_match = _checked(place, read_local_part, name, of_key=True)
    if kind_and_match is None:
        return None
    kind, match = kind_and_match
    if place.is_text:
        url = _checked(place, check_url, place.text("a URL") or "")
        return WantedAlias(name=name, kind=kind, match=match, endpoints=(WantedEndpoint(url=url or ""),))
    fields = place.fields(
        ("endpoints", "rules", "attachments", "mode", "priority", "spam"), refused=_NOT_BUILT
    )
    if "endpoints" not in fields:
        place.wrong_key("endpoints is missing; expected `endpoints: [{url: https://…}]`")
    if fields.get("priority") and kind not in ("glob", "regex"):
        fields["priority"].wrong_key("only patterns have a priority: exact goes first, the catch-all last")
    if fields.get("mode") and fields["mode"].choice(("async", "through")) == "through":
        fields["mode"].wrong(f"mode through {_NOT_YET}, or write async")
    priority = _given(fields, "priority", lambda one: one.number(0, PRIORITY_MAX))
    spam = fields["spam"].fields(("enabled", "threshold")) if "spam" in fields else {}
    spam_enabled = _given(spam, "enabled", Located.flag)
    threshold = _given(spam, "threshold", lambda one: one.number(-100, 1_000))
    return WantedAlias(
        name=name,
        kind=kind,
        match=match,
        priority=int(priority or 0),
        endpoints=_endpoints(fields["endpoints"]) if "endpoints" in fields else (),
        rules=_rules(fields["rules"]) if "rules" in fields else (),
        inline_limit_octets=_inline_limit(fields),
        spam_enabled=True if spam_enabled is None else spam_enabled,
        spam_threshold=SPAM_THRESHOLD if threshold is None else threshold,
    )


def _endpoints(place: Located) -> tuple[WantedEndpoint, ...]:
    places = place.elements("endpoints, such as {url: https://…}")
    if not 1 <= len(places) <= ENDPOINTS_MAX_COUNT:
        place.wrong(f"expected 1 to {ENDPOINTS_MAX_COUNT} endpoints, found {len(places)}")
    found: dict[str, WantedEndpoint] = {}
    for one in places:
        endpoint = _endpoint(one)
        if endpoint is not None and endpoint.url in found:
            one.wrong("the same URL stands here twice: each mail would be POSTed to it twice")
        elif endpoint is not None:
            found[endpoint.url] = endpoint
    return tuple(found.values())


def _endpoint(place: Located) -> WantedEndpoint | None:
    if place.is_text:
        url = _checked(place, check_url, place.text("a URL") or "")
        return None if url is None else WantedEndpoint(url=url)
    fields = place.fields(
        ("url", "secret", "format", "basic_auth", "headers", "include", "signing_key"),
        refused=_NOT_BUILT,
    )
    if "url" not in fields:
        place.wrong("url is missing; expected `url: https://…`")
        return None
    text: Callable[[Callable[[str], str]], Callable[[Located], str | None]] = lambda check: (
        lambda one: _checked(one, check, value) if (value := one.text("text")) is not None else None
    )
    url = _given(fields, "url", text(check_url))
    kept = _given(fields, "format", lambda one: one.choice(get_args(Format)))
    included = fields["include"].elements("renderings") if "include" in fields else []
    endpoint = WantedEndpoint(
        url=url or "",
        secret=_given(fields, "secret", text(check_secret)),
        format=cast("Format", kept or "native"),
        basic_auth=_given(fields, "basic_auth", text(check_basic_auth)),
        signing_key=_given(fields, "signing_key", text(check_signing_key)),
        headers=_headers(fields["headers"]) if "headers" in fields else (),
        include=tuple(sorted({name for one in included if (name := one.choice(INCLUDE))})),
    )
    return None if url is None else endpoint


def _headers(place: Located) -> tuple[tuple[str, str], ...]:
    found: dict[str, tuple[str, str]] = {}
    for name, one in place.entries("a mapping of header fields").items():
        value = one.text("text")
        pair = (
            None if value is None else _checked(one, lambda text, name=name: check_header(name, text), value)
        )
        if pair is not None and name.lower() in found:
            one.wrong_key("stands here a second time; case makes no difference")
        elif pair is not None:
            found[name.lower()] = pair
    if len(found) > HEADERS_MAX_COUNT:
        place.wrong(f"over {HEADERS_MAX_COUNT} header fields")
    return tuple(found.values())


def _rules(place: Located) -> tuple[Rule, ...]:
    places = place.elements('rules, such as {if: "spam.score >= 7", then: block}')
    if len(places) > RULES_MAX_COUNT:
        place.wrong(f"over {RULES_MAX_COUNT} rules")
    return tuple(rule for one in places if (rule := _rule(one)) is not None)


def _rule(place: Located) -> Rule | None:
    fields = place.fields(("if", "then", "notify", "tag"))
    for key in ("if", "then"):
        if key not in fields:
            place.wrong(f"{key} is missing")
    condition = _given(fields, "if", _condition)
    then = _given(fields, "then", lambda one: one.choice(get_args(Action)))
    if "notify" in fields and fields["notify"].flag():
        fields["notify"].wrong(f"notify: true {_NOT_YET}: no DSN is sent so far")
    if "tag" in fields and then not in ("tag", None):
        fields["tag"].wrong_key("only a rule with `then: tag` has a tag")
    tag = _given(fields, "tag", lambda one: _checked(one, _tag, one.text("a word") or ""))
    if condition is None or then is None:
        return None
    return Rule(when=condition, then=cast("Action", then), tag=tag or "spam")


def _condition(place: Located) -> str | None:
    text = place.text("a condition")
    if text is None:
        return None
    try:
        return compile_expression(text, names=RULE_FACTS).text
    except ExpressionError as error:
        place.wrong(f"{error.reason} (character {error.column} of the condition)")
        return None


def _tag(text: str) -> str:
    if not (text.isascii() and text.replace("-", "").replace("_", "").isalnum() and len(text) <= 64):
        raise ValueError(f"{text!r} is no tag; expected letters, digits, - and _, at most 64")
    return text


def _inline_limit(fields: dict[str, Located]) -> int:
    if "attachments" not in fields:
        return INLINE_LIMIT_OCTETS
    inner = fields["attachments"].fields(("inline_below",), refused=_NOT_BUILT)

    def within(text: str) -> int:
        size_octets = octets_of(text)
        if size_octets > BODY_LIMIT_OCTETS * 3 // 4:  # base64 makes 4 of 3
            raise ValueError(f"{text} inline would not fit into a body of {BODY_LIMIT_OCTETS} octets")
        return size_octets

    limit = _given(
        inner, "inline_below", lambda one: _checked(one, within, one.text("a size such as 192KiB") or "")
    )
    return INLINE_LIMIT_OCTETS if limit is None else limit


def _given(fields: dict[str, Located], key: str, read: Callable[[Located], Value | None]) -> Value | None:
    return read(fields[key]) if key in fields else None


def _checked(
    place: Located, check: Callable[[str], Value], text: str, *, of_key: bool = False
) -> Value | None:
    """Return what `check` makes of the text; None, and a mistake noted, where it refuses."""
    try:
        return check(text)
    except ValueError as error:
        (place.wrong_key if of_key else place.wrong)(str(error))
        return None


__all__: list[Any] = ["parse_routes", "read_routes"]
