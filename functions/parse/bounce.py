"""Delivery status notifications (RFC 3464), and bounces that never heard of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from mailchute.payload import Bounce, BouncedRecipient, OriginalMail

from .bounce_reason import SOFT_REASONS, reason_of
from .bounce_text import recipients_in, says_delayed, says_undelivered
from .entity import Entity
from .header_section import HeaderSection, read_header_section
from .message import message_id_of
from .words import text_of, unfolded

RECIPIENTS_MAX_COUNT = 100  # of one transaction (RFC 5321, 4.5.3.1.8); a DSN tells of one
_ACTIONS = frozenset(("failed", "delayed", "delivered", "relayed", "expanded"))  # RFC 3464, 2.3.3
_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_REPLY_CODE = re.compile(r"(?<![\d.])([45])(\d\d)[ \-](?!\d{1,3}\.\d)")


def bounce_of(root: Entity, text: str, *, is_null_reverse_path: bool) -> Bounce | None:
    """
    Return what this mail says could not be delivered, or None when it says no such thing.

    Args:
        text: The mail's text, looked at when it holds no machine-readable part.
        is_null_reverse_path: Whether the envelope says it is a notification.
    """
    root = _unwrapped(root)
    leaves = list(root.leaves())
    recipients = list(_from_status(leaves))
    if not recipients:
        found = list(
            recipients_in(
                root.section,
                text,
                is_null_reverse_path=is_null_reverse_path,
                is_declared=root.parameters.get("report-type", "").lower() == "delivery-status",
            )
        )
        action = "delayed" if found and says_delayed(text) else "failed"
        recipients = [recipient(address, action, None, diagnostic) for address, diagnostic in found]
    recipients = [each for each in recipients if each.action in ("failed", "delayed")]
    original = _returned(leaves)
    is_nameless = not recipients and original is not None and says_undelivered(root.section, text)
    if not recipients and not is_nameless:
        return None
    return Bounce(
        recipients=tuple(recipients[:RECIPIENTS_MAX_COUNT]), original=original or _original_in(text)
    )


def _unwrapped(root: Entity) -> Entity:
    """Return the notification inside, where a gateway has put all of it into a copy of its own header."""
    own_id = message_id_of(root.section)
    inside = (leaf.children[0] for leaf in root.leaves() if leaf.is_mail and leaf.children)
    return next((each for each in inside if own_id and message_id_of(each.section) == own_id), root)


def recipient(
    address: str, action: str | None, status: str | None, diagnostic: str | None
) -> BouncedRecipient:
    """Return the recipient with the verdict that its status and diagnostic add up to."""
    status = status or _status_in(diagnostic or "")
    reason = reason_of(status, diagnostic or "")
    is_soft = action == "delayed" or reason in SOFT_REASONS or bool(status and status.startswith("4"))
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
            status_text = unfolded(block.first("status") or b"")
            status = _STATUS.search(status_text)
            code = status[0] if status else None
            diagnostic = _typed(block.first("diagnostic-code")) or (status_text if code is None else None)
            action = unfolded(block.first("action") or b"").split(" ")[0].lower()
            yield recipient(address.strip("<> "), _known_action(action, code), code, diagnostic or None)


def _known_action(word: str, status: str | None) -> str:
    """Return the action; "failure", "error" or none at all say that it failed, unless the status says 2."""
    if word in _ACTIONS:
        return word
    return "delivered" if status is not None and status.startswith("2") else "failed"


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


def _returned(leaves: list[Entity]) -> OriginalMail | None:
    """Return what the part that returns the mail says of it; None where no part does."""
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
    return None


def _original_in(text: str) -> OriginalMail:
    """Return what is known of the mail that bounced from the header fields that the text repeats."""
    message_id = re.search(r"^\s{0,4}message-id:\s*(<[^<>\s]{1,995}>)", text, re.IGNORECASE | re.MULTILINE)
    subject = re.search(r"^\s{0,4}subject:[ \t]*([^\n]{1,998})", text, re.IGNORECASE | re.MULTILINE)
    return OriginalMail(
        message_id=message_id[1] if message_id else None, subject=subject[1].strip() if subject else None
    )
