"""What a failed delivery comes down to: by its enhanced status code (RFC 3463), else by what servers say."""

from __future__ import annotations

import re
from typing import NamedTuple


class _Reason(NamedTuple):
    """What a failure comes down to."""

    name: str
    codes: re.Pattern[str]  # enhanced status codes (RFC 3463, 3)
    words: re.Pattern[str]  # what the diagnostics of common servers say


def _compiled(name: str, codes: str, *words: str) -> _Reason:
    return _Reason(name, re.compile(rf"(?:{codes})\Z"), re.compile("|".join(words), re.IGNORECASE))


_REASONS = (
    _compiled(
        "mailbox-full",
        r"[45]\.2\.2",
        r"quota",
        r"mailbox (?:is )?full",
        r"over (?:its|the) (?:limit|storage)",
        r"insufficient (?:disk|system)",
        r"exceeded storage",
    ),
    _compiled(
        "no-such-user",
        r"5\.1\.[136]|5\.1\.10|5\.2\.1",
        r"user unknown",
        r"unknown user",
        r"no such (?:user|person|recipient|mailbox|local)",
        r"does ?n[o']t exist",
        r"does not have an? .{0,30}account",
        r"no mailbox",
        r"not (?:our|a valid) (?:customer|user|mailbox|recipient)",
        r"invalid (?:recipient|mailbox|user|address)",
        r"(?:mailbox|recipient|address|user|account).{0,30}(?:unavailable|not found|unknown|rejected)",
        r"(?:mailbox|recipient|address|user|account).{0,30}(?:disabled|inactive|suspended)",
        r"unrouteable address",
        r"not listed",
        r"no longer",
        r"unknown (?:address|recipient|local)",
        r"bad (?:address|destination)",
    ),
    _compiled(
        "no-such-domain",
        r"5\.1\.2|5\.4\.4|5\.1\.8",
        r"host (?:not found|unknown)",
        r"domain (?:not found|does not exist)",
        r"name (?:service|server) error",
        r"couldn'?t find any host",
        r"no mx",
        r"unknown (?:host|domain)",
        r"illegal host",
    ),
    _compiled(
        "too-big",
        r"5\.3\.4|5\.2\.3",
        r"too (?:large|big)",
        r"exceeds (?:the )?(?:maximum|size)",
        r"message size",
    ),
    _compiled(
        "unreachable",
        r"[45]\.4\.[12367]|4\.\d\.\d",
        r"timed? ?out",
        r"connection (?:refused|lost|reset)",
        r"could ?n[o']t (?:connect|establish)",
        r"no route",
        r"unreachable",
        r"too long",
        r"delayed",
        r"try again",
        r"temporar",
        r"retry",
        r"wasn't able to establish",
    ),
    _compiled(
        "policy",
        r"5\.7\.\d+",
        r"spam",
        r"blocked",
        r"blacklist",
        r"block ?list",
        r"policy",
        r"denied",
        r"rejected",
        r"not (?:allowed|permitted|authorized|accepting)",
        r"relay",
        r"virus",
    ),
)
SOFT_REASONS = frozenset(("mailbox-full", "unreachable"))


def reason_of(status: str | None, diagnostic: str) -> str:
    """Return the name of the reason; "other" where neither the code nor the words are known."""
    if status:
        for name, codes, _ in _REASONS:
            if codes.match(status):
                return name
    return next((name for name, _, words in _REASONS if words.search(diagnostic)), "other")
