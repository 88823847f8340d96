"""
Rules for the three kinds of address most people have, after product text 2's table of spam scores.

    score     public      transactional   internal
    0 - 5     delivered   delivered       delivered
    5 - 7     tagged      tagged          blocked
    7 - 10    blocked     tagged          blocked
    over 10   blocked     blocked         blocked

Who is on the list of known senders, and proved to be that sender, is let in whatever the score.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from mailchute.alias import Rule
from mailchute.conditions import expression_of

Preset = Literal["public", "transactional", "internal"]
PRESETS: tuple[str, ...] = get_args(Preset)

TAG_FROM = 5.0  # product text 2: "Likely spam"
BLOCK_FROM: Mapping[str, float] = {"public": 7.0, "transactional": 10.0, "internal": 5.0}


def rules_of(preset: Preset, *, known_senders: tuple[str, ...] = ()) -> tuple[Rule, ...]:
    """
    Return the rules of a preset, in order.

    Args:
        known_senders: Domains and addresses that are let in; a domain does not speak for those below it.
    """
    block_from = BLOCK_FROM[preset]
    rules = []
    if known_senders:
        rules.append(Rule(when=_known(known_senders), then="allow"))
    rules.append(Rule(when=f"spam.score >= {block_from:g}", then="block"))
    if block_from > TAG_FROM:
        rules.append(Rule(when=f"spam.score >= {TAG_FROM:g}", then="tag"))
    return tuple(rules)


def _known(senders: tuple[str, ...]) -> str:
    addresses = [one for one in senders if "@" in one]
    domains = [one for one in senders if "@" not in one]
    anyone = [
        {name: values}
        for name, values in (("sender.domain", domains), ("sender.address", addresses))
        if values
    ]
    # A From field proves nothing: only a sender that authenticated is let past the spam score.
    return expression_of({"all": [{"sender.authenticated": True}, {"any": anyone}]})
