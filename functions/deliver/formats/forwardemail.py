"""Forward Email's webhook (https://forwardemail.net/faq, "Do you support webhooks")."""

from __future__ import annotations

import hmac
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mailchute import wire
from mailchute.payload import Mailbox, Payload

from .fields import fields_of, mailboxes_text, one_line
from .files import File, files_of
from .shape import Mail, Shape


def shape(mail: Mail) -> Shape:
    """Return its JSON, with `X-Webhook-Signature`; `?attachments=false` and `?raw=false` slim it."""
    payload, message = mail.payload, mail.payload.message
    query = parse_qs(urlsplit(mail.endpoint.url).query)
    fields = fields_of(message)
    body: dict[str, Any] = {
        "headerLines": [{"key": name.lower(), "line": f"{name}: {value}"} for name, value in fields],
        "html": message.content.html if message.content.html is not None else False,
        "text": message.content.text,
        "subject": one_line(message.subject),
        "date": message.date,
        "to": _addresses(message.to),
        "from": _addresses((message.sender,) if message.sender else ()),
        "messageId": message.message_id,
    }
    if message.cc:
        body["cc"] = _addresses(message.cc)
    if message.reply_to:
        body["replyTo"] = _addresses(message.reply_to)
    if message.in_reply_to:
        body["inReplyTo"] = message.in_reply_to
    if message.references:
        body["references"] = list(message.references)
    if query.get("attachments") != ["false"]:
        body["attachments"] = [_attachment(file) for file in files_of(message)]
    if query.get("raw") != ["false"]:
        # A JSON string cannot hold octets that are no UTF-8: they are replaced, as there.
        body["raw"] = mail.raw.decode(errors="replace")
    body["headers"] = "".join(f"{name}: {value}\r\n" for name, value in fields)
    body |= _verdicts(payload)
    octets = wire.encode_json(body)
    signature = hmac.digest(mail.secret.encode(), octets, "sha256").hex()
    return Shape(body=octets, content_type="application/json", fields=(("X-Webhook-Signature", signature),))


def _addresses(boxes: tuple[Mailbox, ...]) -> dict[str, Any]:
    return {
        "value": [{"address": box.email, "name": box.name or ""} for box in boxes],
        "html": "",
        "text": mailboxes_text(boxes),
    }


def _attachment(file: File) -> dict[str, Any]:
    return {
        "type": "attachment",
        "content": {"type": "Buffer", "data": list(file.content)},  # as Node writes a Buffer
        "contentType": file.content_type,
        "contentDisposition": file.disposition,
        "filename": file.name,
        "cid": file.content_id,
        "contentId": f"<{file.content_id}>" if file.content_id else None,
        "related": file.is_inline,
        "size": len(file.content),
    }


def _verdicts(payload: Payload) -> dict[str, Any]:
    auth, envelope = payload.auth, payload.envelope
    return {
        "dkim": {
            "results": [
                {
                    "signingDomain": one.domain,
                    "selector": one.selector,
                    "algo": one.algorithm,
                    "status": {"result": one.result, "aligned": one.domain if one.aligned else False},
                }
                for one in auth.dkim
            ]
        },
        "spf": {"domain": auth.spf.domain, "status": {"result": auth.spf.result}},
        "arc": {"i": auth.arc.instance, "status": {"result": auth.arc.result}},
        "dmarc": {
            "domain": auth.dmarc.domain,
            "policy": auth.dmarc.policy,
            "status": {"result": auth.dmarc.result},
        },
        "recipients": [envelope.rcpt_to],
        "session": {
            "recipient": envelope.rcpt_to,
            "remoteAddress": envelope.client_ip,
            "clientHostname": envelope.ptr,
            "hostNameAppearsAs": envelope.helo,
            "sender": envelope.mail_from,
            "arrivalDate": payload.received_at,
            "arrivalTime": int(payload.received_at.timestamp() * 1_000),
        },
    }
