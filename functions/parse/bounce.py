"""Delivery status notifications (RFC 3464), and bounces that never heard of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from mailchute.payload import Bounce, BouncedRecipient, OriginalMail

from .bounce_text import recipients_in
from .entity import Entity
from .header_section import HeaderSection, read_header_section
from .message import message_id_of
from .words import text_of, unfolded

RECIPIENTS_MAX_COUNT = 100
_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_REPLY_CODE = re.compile(r"(?<![\d.])([45])(\d\d)[ \-](?!\d{1,3}\.\d)")


class _Reason(NamedTuple):
    """What a failure comes down to."""

    name: str
    codes: re.Pattern[str]  # enhanced status codes (RFC 3463, 3)
    words: re.Pattern[str]  # what the diagnostics of common servers say


def _reason_of(name: str, codes: str, *words: str) -> _Reason:
    return _Reason(name, re.compile(rf"(?:{codes})\Z"), re.compile("|".join(words), re.IGNORECASE))


_REASONS = (
    _reason_of(
        "mailbox-full",
        r"[45]\.2\.2",
        r"quota",
        r"mailbox (?:is )?full",
        r"over (?:its|the) (?:limit|storage)",
        r"insufficient (?:disk|system)",
        r"exceeded storage",
    ),
    _reason_of(
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
    _reason_of(
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
    _reason_of(
        "too-big",
        r"5\.3\.4|5\.2\.3",
        r"too (?:large|big)",
        r"exceeds (?:the )?(?:maximum|size)",
        r"message size",
    ),
    _reason_of(
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
    _reason_of(
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
_SOFT_REASONS = frozenset(("mailbox-full", "unreachable"))


def bounce_of(root: Entity, text: str, *, is_null_reverse_path: bool) -> Bounce | None:
    """
    Return what this mail says could not be delivered, or None when it says no such thing.

    Args:
        text: The mail's text, looked at when it holds no machine-readable part.
        is_null_reverse_path: Whether the envelope says it is a notification.
    """
    leaves = list(root.leaves())
    recipients = list(_from_status(leaves))
    if not recipients:
        recipients = [
            recipient(address, "failed", None, diagnostic)
            for address, diagnostic in recipients_in(
                root.section, text, is_null_reverse_path=is_null_reverse_path
            )
        ]
    recipients = [each for each in recipients if each.action in ("failed", "delayed")]
    if not recipients:
        return None
    return Bounce(recipients=tuple(recipients[:RECIPIENTS_MAX_COUNT]), original=_original(leaves, text))


def recipient(
    address: str, action: str | None, status: str | None, diagnostic: str | None
) -> BouncedRecipient:
    """Return the recipient with the verdict that its status and diagnostic add up to."""
    status = status or _status_in(diagnostic or "")
    reason = _reason(status, diagnostic or "")
    is_soft = action == "delayed" or reason in _SOFT_REASONS or bool(status and status.startswith("4"))
    kind: Literal["hard", "soft"] = "soft" if is_soft else "hard"
    return BouncedRecipient(
        address=address, action=action, status=status, diagnostic=diagnostic, type=kind, reason=reason
    )


def _from_status(leaves: list[Entity]) -> Iterator[BouncedRecipient]:
    for leaf in leaves:
        if leaf.media_type not in ("message/delivery-status", "message/global-delivery-status"):
            continue
        for block in status_blocks(leaf.body()):
            address = _typed(block.first("final-recipient")) or _typed(block.first("original-recipient"))
            if not address:
                continue
            action = unfolded(block.first("action") or b"").split(" ")[0].lower() or None
            status = _STATUS.search(unfolded(block.first("status") or b""))
            diagnostic = _typed(block.first("diagnostic-code")) or None
            # X-Actual-Recipient is no standard, and the address that matters where a list expanded.
            yield recipient(
                address.strip("<> "), action or "failed", status[0] if status else None, diagnostic
            )


def status_blocks(octets: bytes) -> Iterator[HeaderSection]:
    """Yield the groups of fields of a report (RFC 3464, 2.1), parted by blank lines."""
    position = 0
    while position < len(octets):
        section, end = read_header_section(octets, position)
        if section.fields:
            yield section
        if end <= position:
            newline = octets.find(b"\n", position)
            end = len(octets) if newline < 0 else newline + 1
        position = end


def _typed(body: bytes | None) -> str:
    """Return the value of a field that names its type first: "rfc822; ada@example.org"."""
    text = text_of(body or b"")
    kind, semicolon, value = text.partition(";")
    return value.strip() if semicolon and "@" not in kind else text


def _status_in(diagnostic: str) -> str | None:
    if match := _STATUS.search(diagnostic):
        return match[0]
    if match := _REPLY_CODE.search(diagnostic):
        return f"{match[1]}.0.0"
    return None


def _reason(status: str | None, diagnostic: str) -> str:
    if status:
        for name, codes, _ in _REASONS:
            if codes.match(status):
                return name
    return next((name for name, _, words in _REASONS if words.search(diagnostic)), "other")


def _original(leaves: list[Entity], text: str) -> OriginalMail:
    """Return what is known of the mail that bounced: from the part that returns it, or the text below."""
    for leaf in leaves:
        if leaf.is_mail and leaf.children:
            section = leaf.children[0].section
        elif leaf.media_type in ("text/rfc822-headers", "message/rfc822-headers"):
            section, _ = read_header_section(leaf.body())
        else:
            continue
        return OriginalMail(
            message_id=message_id_of(section), subject=text_of(section.first("subject") or b"")
        )
    message_id = re.search(r"^\s{0,4}message-id:\s*(<[^<>\s]{1,995}>)", text, re.IGNORECASE | re.MULTILINE)
    subject = re.search(r"^\s{0,4}subject:[ \t]*([^\n]{1,998})", text, re.IGNORECASE | re.MULTILINE)
    return OriginalMail(
        message_id=message_id[1] if message_id else None, subject=subject[1].strip() if subject else None
    )
