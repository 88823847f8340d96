"""Postmark's inbound webhook (https://postmarkapp.com/developer/webhooks/inbound-webhook)."""

from __future__ import annotations

import base64
import uuid
from typing import Any

from mailchute import wire
from mailchute.payload import Mailbox, Payload
from msgspec import UNSET

from .fields import addresses_of, date_text, fields_of, mailboxes_text, one_line
from .files import files_of
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
        "content-transfer-encoding",
        "content-disposition",
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
    message, tag = payload.message, payload.message.recipient.tag or ""
    addresses = addresses_of(message)
    hidden = () if _is_named(payload) else (message.recipient,)
    body = {
        "FromName": message.sender.name or "" if message.sender else "",
        "MessageStream": "inbound",
        "From": message.sender.email if message.sender else "",
        "FromFull": _full(message.sender, "") if message.sender else None,
        "To": addresses["to"],
        "ToFull": [_full(box, _tag_of(box, payload)) for box in message.to],
        "Cc": addresses["cc"],
        "CcFull": [_full(box, _tag_of(box, payload)) for box in message.cc],
        "Bcc": mailboxes_text(tuple(Mailbox(name=box.name, email=box.email) for box in hidden)),
        "BccFull": [_full(Mailbox(name=box.name, email=box.email), tag) for box in hidden],
        "OriginalRecipient": payload.envelope.rcpt_to,
        "Subject": one_line(message.subject),
        "MessageID": str(uuid.uuid5(_IDS, payload.id)),  # a UUID there; the same over all attempts
        "ReplyTo": addresses["reply-to"],
        "MailboxHash": tag,
        "Date": date_text(message),
        "TextBody": message.content.text,
        "HtmlBody": message.content.html or "",
        "StrippedTextReply": "" if payload.reply is UNSET else payload.reply.text,
        "Tag": "",
        "Headers": [{"Name": name, "Value": value} for name, value in _fields(payload)],
        "Attachments": [
            {
                "Name": file.name,
                "Content": base64.b64encode(file.content).decode(),
                "ContentType": file.content_type,
                "ContentLength": len(file.content),
            }
            | ({"ContentID": file.content_id} if file.content_id else {})
            for file in files_of(message)
        ],
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


def _full(box: Mailbox, tag: str) -> dict[str, Any]:
    return {"Email": box.email, "Name": box.name or "", "MailboxHash": tag}


def _tag_of(box: Mailbox, payload: Payload) -> str:
    is_ours = box.email.lower() == payload.envelope.rcpt_to.lower()
    return payload.message.recipient.tag or "" if is_ours else ""


def _is_named(payload: Payload) -> bool:
    """Return whether To or Cc names the recipient; else Postmark shows it as Bcc."""
    ours = payload.envelope.rcpt_to.lower()
    return any(box.email.lower() == ours for box in (*payload.message.to, *payload.message.cc))
