"""
The rules of an alias or a domain in a routes file.

    rules:
      - {if: "spam.score >= 7", then: block}
      - {if: {subject: {contains: invoice}}, then: route, to: https://api.example/invoices}
      - {if: {attachments.extensions: [exe, scr]}, then: drop, attachments: ["*.exe", .scr]}
    preset: public            # after the alias's own: mailchute.presets
"""

from __future__ import annotations

from typing import Any, cast, get_args

import yaml

from mailchute.alias import Action, Rule
from mailchute.conditions import ConditionError, Place, expression_of
from mailchute.file_patterns import PATTERNS_MAX_COUNT, check_file_pattern
from mailchute.presets import PRESETS, Preset, rules_of
from mailchute.routes.located import Located, given
from mailchute.routes.values import check_domain, check_url
from mailchute.rule_reach import why_not
from mailchute.store.wanted import WantedAlias

RULES_MAX_COUNT = 100  # of one alias, and of one domain
CONDITION_MAX_VALUES = 2_000  # YAML's anchors let a few lines stand for millions
KNOWN_SENDERS_MAX_COUNT = 100
NO_NOTICE = (
    "the sender is told nothing so far: that needs an outbound relay, which is not built yet; take it out"
)
FIELDS = ("if", "then", "tag", "to", "attachments", "notify", "words")
OF_ACTION = {"tag": ("tag",), "route": ("to",), "drop": ("attachments",), "block": ("notify", "words")}


def read_rules(place: Located) -> tuple[Rule, ...]:
    """Return the rules in their order; what is wrong with them is noted where it stands."""
    places = place.elements('rules, such as {if: "spam.score >= 7", then: block}')
    if len(places) > RULES_MAX_COUNT:
        place.wrong(f"over {RULES_MAX_COUNT} rules")
    return tuple(rule for one in places if (rule := _rule(one)) is not None)


def read_preset(place: Located) -> tuple[Rule, ...]:
    """Return the rules of `preset: public`, or of `preset: {for: internal, known: [partner.example]}`."""
    if place.is_text:
        name = place.choice(PRESETS)
        return rules_of(cast("Preset", name)) if name else ()
    fields = place.fields(("for", "known"))
    if "for" not in fields:
        place.wrong(f"for is missing; expected one of {', '.join(PRESETS)}")
    name = given(fields, "for", lambda one: one.choice(PRESETS))
    listed = fields["known"].elements("domains and addresses") if "known" in fields else []
    if len(listed) > KNOWN_SENDERS_MAX_COUNT:
        fields["known"].wrong(f"over {KNOWN_SENDERS_MAX_COUNT} senders")
    known = tuple(sender for one in listed if (sender := one.checked(_sender, "a domain or an address")))
    return rules_of(cast("Preset", name), known_senders=known) if name else ()


def check_reach(rules: tuple[Rule, ...], alias: WantedAlias, place: Located) -> None:
    """Note which of these rules the alias could not follow: no such endpoint, nothing to drop from."""
    for rule in rules:
        for reason in why_not(rule, alias.name, alias.endpoints):
            place.wrong(reason)


def _rule(place: Located) -> Rule | None:
    fields = place.fields(FIELDS)
    for key in ("if", "then"):
        if key not in fields:
            place.wrong(f"{key} is missing")
    condition = given(fields, "if", _condition)
    then = given(fields, "then", lambda one: one.choice(get_args(Action)))
    _check_words(fields, then)
    tag = given(fields, "tag", lambda one: one.checked(check_tag, "a word"))
    url = given(fields, "to", lambda one: one.checked(check_url, "a URL"))
    drop = _patterns(fields["attachments"]) if "attachments" in fields else ()
    if then == "route" and "to" not in fields:
        place.wrong("to is missing: the URL of one of the alias's endpoints")
    if then == "drop" and "attachments" not in fields:
        place.wrong("attachments is missing: all, or a list such as [*.exe, .zip, image/*]")
    if condition is None or then is None:
        return None
    return Rule(when=condition, then=cast("Action", then), tag=tag or "spam", endpoint_url=url, drop=drop)


def _check_words(fields: dict[str, Located], then: str | None) -> None:
    """Note what belongs to another action, and what nobody could carry out."""
    for action, names in OF_ACTION.items():
        for name in names:
            if name in fields and then not in (action, None):
                fields[name].wrong_key(f"only a rule with `then: {action}` has {name}")
    if "words" in fields:
        fields["words"].wrong_key(NO_NOTICE)
    if "notify" in fields and fields["notify"].flag():
        fields["notify"].wrong(f"notify: true: {NO_NOTICE}")


def _condition(place: Located) -> str | None:
    plain = _Plain()
    condition = plain.value(place)
    if plain.count > CONDITION_MAX_VALUES:
        place.wrong(f"over {CONDITION_MAX_VALUES} values in one condition")
        return None
    try:
        return expression_of(condition)
    except ConditionError as error:
        (plain.places.get(error.place) or place).wrong(error.reason)
        return None


class _Plain:
    """A node as JSON would have it, and where each of its values stands."""

    def __init__(self) -> None:
        self.places: dict[Place, Located] = {}
        self.count = 0

    def value(self, one: Located, place: Place = ()) -> Any:
        self.places[place] = one
        self.count += 1
        if self.count > CONDITION_MAX_VALUES:
            return None
        if isinstance(one.node, yaml.MappingNode):
            entries = one.entries("a condition")
            return {key: self.value(each, (*place, key)) for key, each in entries.items()}
        if isinstance(one.node, yaml.SequenceNode):
            listed = enumerate(one.elements("conditions"))
            return [self.value(each, (*place, index)) for index, each in listed]
        return _scalar(one.node)


def _scalar(node: yaml.Node) -> Any:
    """Return a text, number, truth or nothing; dates and other notions of YAML stay text."""
    kind, text = node.tag.rpartition(":")[2], str(node.value)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("true", "yes", "on")
    if kind in ("int", "float"):
        try:
            return int(text) if kind == "int" else float(text)
        except ValueError:  # 0x1f, 1_000, 12:30: YAML's, not ours
            return text
    return text


def _patterns(place: Located) -> tuple[str, ...]:
    if place.is_text:
        word = place.choice(("all",))
        return ("*",) if word else ()
    places = place.elements("file names, extensions or media types, such as [*.exe, .zip, image/*]")
    if not 1 <= len(places) <= PATTERNS_MAX_COUNT:
        place.wrong(f"expected 1 to {PATTERNS_MAX_COUNT}, or all")
    return tuple(text for one in places if (text := one.checked(check_file_pattern, "text")))


def _sender(text: str) -> str:
    local_part, at, domain = text.rpartition("@")
    if at and not local_part:
        raise ValueError(f"{text!r} is no address; write a domain without the @")
    return f"{local_part}{at}{check_domain(domain)}"


def check_tag(text: str) -> str:
    """Return the tag; raise ValueError saying why it is none."""
    if not (text.isascii() and text.replace("-", "").replace("_", "").isalnum() and len(text) <= 64):
        raise ValueError(f"{text!r} is no tag; expected letters, digits, - and _, at most 64")
    return text
