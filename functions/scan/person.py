"""A bare mail that a person hands in, with what they know of its envelope."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import msgspec
from mailchute.alias import SPAM_THRESHOLD
from mailchute.envelope import Path
from mailchute.errors import Undecodable
from mailchute.function import Call
from mailchute.mail import MailObject

from .message import Message


@dataclass(frozen=True, kw_only=True)
class Scannable:
    """A mail, and what its alias wants to know about it."""

    message: Message
    spam_enabled: bool = True
    threshold: float = SPAM_THRESHOLD


class GivenEnvelope(msgspec.Struct, frozen=True):
    """The header field Mail-Envelope of the call; whatever is not known is left out."""

    client_ip: str = ""
    helo: str = ""
    reverse_path: str | None = None  # "" or null: the null reverse-path
    forward_path: str | None = None


def of_mail(mail: MailObject) -> Scannable:
    """
    Return what a mail object asks to scan.

    Raises:
        Undecodable: Its content is a reference: the connector resolves those before it calls.
    """
    if not isinstance(mail.content, bytes):
        raise Undecodable("the content is a reference: resolve it before calling scan")
    return Scannable(
        message=Message.of(mail), spam_enabled=mail.alias.spam_enabled, threshold=mail.alias.spam_threshold
    )


def of_call(call: Call) -> Scannable:
    """
    Return what a call with a bare message/rfc822 asks to scan.

    Raises:
        Undecodable: Mail-Envelope is no such JSON.
        MalformedPath: One of its paths is no mailbox.
    """
    try:
        given = msgspec.json.decode(call.headers.get("mail-envelope", "{}"), type=GivenEnvelope)
        if given.client_ip:
            ipaddress.ip_address(given.client_ip)
    except (msgspec.MsgspecError, ValueError) as error:
        raise Undecodable(f"Mail-Envelope: {error}") from error
    reverse_path = Path.parse(given.reverse_path.strip("<>")) if given.reverse_path else None
    forward_path = Path.parse(given.forward_path.strip("<>")) if given.forward_path else None
    return Scannable(
        message=Message(
            content=call.body,
            client_ip=given.client_ip,
            helo=given.helo,
            reverse_path=reverse_path,
            recipient=forward_path,
        )
    )
