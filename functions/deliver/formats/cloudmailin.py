"""CloudMailin's "JSON normalized" (https://docs.cloudmailin.com/http_post_formats/json_normalized/)."""

from __future__ import annotations

import base64
from typing import Any

from mailchute import wire
from mailchute.payload import Attachment, Payload
from msgspec import UNSET

from .fields import fields_of
from .shape import Mail, Shape


def shape(mail: Mail) -> Shape:
    """Return its JSON. It has no signature: its receivers know it by basic_auth."""
    payload = mail.payload
    envelope = payload.envelope
    body = {
        "headers": _headers(payload),
        "envelope": {
            "to": envelope.rcpt_to,
            "recipients": [envelope.rcpt_to],
            "from": envelope.mail_from,
            "helo_domain": envelope.helo,
            "remote_ip": envelope.client_ip,
            "tls": envelope.tls is not None,
            "spf": {"result": payload.auth.spf.result, "domain": payload.auth.spf.domain},
        },
        "plain": payload.message.content.text,
        "html": payload.message.content.html,
        "reply_plain": None if payload.reply is UNSET else payload.reply.text,
        "attachments": [_attachment(one) for one in payload.message.attachments],
    }
    return Shape(body=wire.encode_json(body), content_type="application/json")


def _headers(payload: Payload) -> dict[str, Any]:
    """Return fields by their names in snake case; a list where a name stands more than once."""
    headers: dict[str, Any] = {}
    for name, value in fields_of(payload.message):
        key = name.lower().replace("-", "_")
        if key not in headers:
            headers[key] = value
        elif isinstance(headers[key], list):
            headers[key].append(value)
        else:
            headers[key] = [headers[key], value]
    return headers


def _attachment(attachment: Attachment) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "file_name": attachment.filename,
        "content_type": attachment.content_type,
        "size": attachment.size,
        "disposition": attachment.disposition,
        "content_id": attachment.content_id,
    }
    if attachment.content is not UNSET:
        shown["content"] = base64.b64encode(attachment.content).decode()
    elif attachment.url is not UNSET:
        shown["url"] = attachment.url
    return shown
