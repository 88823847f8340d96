"""Mailgun's route action forward(), parsed (https://documentation.mailgun.com, "Receive HTTP")."""

from __future__ import annotations

import hmac
import secrets

from mailchute import wire
from mailchute.payload import Payload
from msgspec import UNSET

from .fields import addresses_of, fields_of, one_line
from .files import files_of
from .form import Pair, multipart, urlencoded
from .shape import Mail, Shape

TOKEN_OCTETS = 25  # 50 hex digits, as Mailgun's own


def shape(mail: Mail) -> Shape:
    """Return its form: URL-encoded, multipart when there are attachments."""
    payload, message = mail.payload, mail.payload.message
    pairs = envelope_pairs(mail)
    pairs += [
        ("body-plain", message.content.text),
        ("message-headers", wire.encode_json(_fields(payload)).decode()),
    ]
    if message.content.html is not None:
        pairs += [("body-html", message.content.html), ("stripped-html", message.content.html)]
    if payload.reply is not UNSET:
        pairs += [
            ("stripped-text", payload.reply.text),
            ("stripped-signature", payload.reply.signature),
        ]
    pairs += signature_pairs(mail)
    files = [(f"attachment-{number}", file) for number, file in enumerate(files_of(message), 1)]
    if not files:
        return urlencoded(pairs)
    references = {f"<{file.content_id}>": name for name, file in files if file.content_id}
    pairs += [
        ("attachment-count", str(len(files))),
        ("content-id-map", wire.encode_json(references).decode()),
    ]
    return multipart(pairs, files)


def envelope_pairs(mail: Mail) -> list[Pair]:
    """Return what both of Mailgun's forms begin with."""
    payload = mail.payload
    return [
        ("recipient", payload.envelope.rcpt_to),
        ("sender", payload.envelope.mail_from),
        ("from", addresses_of(payload.message)["from"]),
        ("subject", one_line(payload.message.subject)),
    ]


def signature_pairs(mail: Mail) -> list[Pair]:
    """Return timestamp, token and signature: HMAC-SHA256 of the first two; it does not cover the body."""
    token = secrets.token_hex(TOKEN_OCTETS)
    signed = f"{mail.timestamp}{token}".encode()
    signature = hmac.digest(mail.secret.encode(), signed, "sha256").hex()
    return [("timestamp", str(mail.timestamp)), ("token", token), ("signature", signature)]


def _fields(payload: Payload) -> list[tuple[str, str]]:
    spam, auth = payload.spam, payload.auth
    fields = fields_of(payload.message, prefix="x-mailgun-")
    if spam is not None:
        fields += [
            ("X-Mailgun-Sflag", "Yes" if spam.is_spam else "No"),
            ("X-Mailgun-Sscore", f"{spam.score:g}"),
        ]
    fields.append(("X-Mailgun-Spf", auth.spf.result.capitalize()))
    if auth.dkim:
        passed = any(signature.result == "pass" for signature in auth.dkim)
        fields.append(("X-Mailgun-Dkim-Check-Result", "Pass" if passed else "Fail"))
    return fields
