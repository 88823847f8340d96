"""The trace fields that a server writes above a mail it takes (RFC 5321, 4.4)."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

from mailchute.envelope import Envelope


def trace_fields(
    envelope: Envelope, *, mail_id: str, hostname: str, received_at: datetime, is_extended: bool
) -> bytes:
    """
    Return the Return-Path and Received fields of this mail, each with its CR LF.

    What the client said of itself stands beside its address; it was checked for octets that would end
    the field.
    """
    protocol = "UTF8SMTP" if envelope.smtputf8 else "ESMTP" if is_extended else "SMTP"
    protocol += "S" if envelope.tls and is_extended else ""  # RFC 3848; RFC 6531, 4.3
    tls = f"\r\n\t(using {envelope.tls.version} with cipher {envelope.tls.cipher})" if envelope.tls else ""
    return (
        f"Return-Path: <{envelope.reverse_path or ''}>\r\n"
        f"Received: from {envelope.helo} ({_literal(envelope.client_ip)}){tls}\r\n"
        f"\tby {hostname} with {protocol} id {mail_id}\r\n"
        f"\tfor <{envelope.forward_path}>; {_date(received_at.replace(microsecond=0))}\r\n"
    ).encode(errors="surrogateescape")


@lru_cache(8)
def _date(second: datetime) -> str:
    return format_datetime(second)


def _literal(client_ip: str) -> str:
    return f"[IPv6:{client_ip}]" if ":" in client_ip else f"[{client_ip}]"
