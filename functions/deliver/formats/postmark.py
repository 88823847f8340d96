"""Postmark's inbound webhook (https://postmarkapp.com/developer/webhooks/inbound-webhook)."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterable
from typing import Any

from mailchute import wire
from mailchute.payload import Mailbox, Payload
from msgspec import UNSET

from .fields import address_text, addresses_of, date_text, fields_of, mailboxes_text, one_line
from .files import File, files_of
from .shape import Mail, Shape

# They have fields of their own, describe a structure that is gone, or are set by Postmark itself.
LEFT_OUT = frozenset(
    {
        "from",
        "to",
        "cc",
        "bcc",
        "reply-to",
        "subject",
        "date",
        "content-type",
        "return-path",
        "received-spf",
        "x-spam-status",
        "x-spam-score",
        "x-spam-tests",
        "x-spam-checker-version",
    }
)
_IDS = uuid.UUID("7c1f4a0e-9d35-5c1b-8a43-2f6a1e0b7d11")


def shape(mail: Mail) -> Shape:
    """Return its JSON. It has no signature: its receivers know it by basic_auth."""
    payload = mail.payload
    message = payload.message
    addresses = addresses_of(message)
    recipient = Mailbox(name=message.recipient.name, email=message.recipient.email)
    hidden = () if _is_named(payload) else (recipient,)
    body = {
        "FromName": message.sender.name or "" if message.sender else "",
        "MessageStream": "inbound",
        "From": message.sender.email if message.sender else "",
        "FromFull": next(iter(_full((message.sender,) if message.sender else (), payload)), None),
        "To": addresses["to"],
        "ToFull": _full(message.to, payload),
        "Cc": addresses["cc"],
        "CcFull": _full(message.cc, payload),
        "Bcc": mailboxes_text(hidden),
        "BccFull": _full(hidden, payload),
        "OriginalRecipient": payload.envelope.rcpt_to,
        "Subject": one_line(message.subject),
        "MessageID": str(uuid.uuid5(_IDS, payload.id)),  # a UUID there; the same over all attempts
        "ReplyTo": addresses["reply-to"],
        "MailboxHash": message.recipient.tag or "",
        "Date": date_text(message),
        "TextBody": message.content.text,
        "HtmlBody": message.content.html or "",
        "StrippedTextReply": "" if payload.reply is UNSET else payload.reply.text,
        "Tag": "",
        "Headers": [{"Name": name, "Value": value} for name, value in _fields(payload)],
        "Attachments": [_attachment(file) for file in files_of(message)],
    }
    if not hidden:
        del body["Bcc"], body["BccFull"]
    return Shape(body=wire.encode_json(body), content_type="application/json")


def _fields(payload: Payload) -> list[tuple[str, str]]:
    spf, spam = payload.auth.spf, payload.spam
    fields = [("Return-Path", f"<{payload.envelope.mail_from}>")]
    if spam is not None:
        tests = ",".join(symbol.name for symbol in spam.symbols)
        fields += [
            ("X-Spam-Checker-Version", f"Mailchute {spam.engine}"),
            ("X-Spam-Status", "Yes" if spam.is_spam else "No"),
            ("X-Spam-Score", f"{spam.score:g}"),
            ("X-Spam-Tests", tests),
        ]
    fields.append(("Received-SPF", f"{spf.result} (domain {spf.domain or 'unknown'})"))
    return fields + fields_of(payload.message, without=LEFT_OUT)


def _attachment(file: File) -> dict[str, Any]:
    content = base64.b64encode(file.content).decode()
    shown = {
        "Name": file.name,
        "Content": content,
        "ContentType": file.content_type,
        "ContentLength": len(file.content),
    }
    if file.content_id:
        shown["ContentID"] = file.content_id
    if not content:
        shown["Data"] = content  # Postmark's test calls say Data, and some receivers take "" for no Content
    return shown


def _full(boxes: Iterable[Mailbox], payload: Payload) -> list[dict[str, Any]]:
    """Return what is an address; receivers stumble over what is none, and the text beside it shows that."""
    ours = payload.envelope.rcpt_to.lower()
    tag = payload.message.recipient.tag or ""
    return [
        {
            "Email": address,
            "Name": box.name or "",
            "MailboxHash": tag if box.email.lower() == ours else "",
        }
        for box in boxes
        if (address := address_text(box.email))
    ]


def _is_named(payload: Payload) -> bool:
    """Return whether To or Cc names the recipient; else Postmark shows it as Bcc."""
    ours = payload.envelope.rcpt_to.lower()
    return any(box.email.lower() == ours for box in (*payload.message.to, *payload.message.cc))
