"""MailerSend's inbound route (https://developers.mailersend.com/api/v1/inbound.html)."""

from __future__ import annotations

import base64
import hmac
from typing import Any

from mailchute import wire

from .fields import addresses_of, one_line
from .files import File, files_of
from .shape import Mail, Shape

SPF_CODES = {"pass": "+", "fail": "-", "softfail": "~", "neutral": "?"}  # RFC 7208, 4.6.2


def shape(mail: Mail) -> Shape:
    """Return its JSON, with `Signature`: hex HMAC-SHA256 of the body."""
    payload, message = mail.payload, mail.payload.message
    rcpt_to = payload.envelope.rcpt_to
    body = wire.encode_json(
        {
            "type": "inbound.message",
            "inbound_id": payload.alias_id,
            "url": mail.endpoint.url,
            "created_at": payload.received_at,
            "data": {
                "object": "message",
                "id": payload.id,
                "recipients": {
                    "rcptTo": [{"email": rcpt_to}],
                    "to": {"raw": addresses_of(message)["to"], "data": list(message.to)},
                },
                "from": {
                    "email": message.sender.email if message.sender else "",
                    "name": message.sender.name if message.sender else None,
                    "raw": addresses_of(message)["from"],
                },
                "sender": {"email": payload.envelope.mail_from},
                "subject": one_line(message.subject),
                "date": message.date,
                "headers": {field.name: field.value for field in message.headers},
                "text": message.content.text,
                "html": message.content.html,
                # A JSON string cannot hold octets that are no UTF-8: they are replaced, as there.
                "raw": mail.raw.decode(errors="replace"),
                "attachments": [_attachment(file) for file in files_of(message)],
                "spf_check": {"code": SPF_CODES.get(payload.auth.spf.result, "?"), "value": None},
                "dkim_check": any(one.result == "pass" for one in payload.auth.dkim),
                "created_at": payload.received_at,
            },
        }
    )
    signature = hmac.digest(mail.secret.encode(), body, "sha256").hex()
    return Shape(body=body, content_type="application/json", fields=(("Signature", signature),))


def _attachment(file: File) -> dict[str, Any]:
    return {
        "file_name": file.name,
        "content_type": file.content_type,
        "content_disposition": file.disposition,
        "content_id": file.content_id,
        "size": len(file.content),
        "content": base64.b64encode(file.content).decode(),
    }
