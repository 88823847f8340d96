"""SendGrid's Inbound Parse, default fields (https://www.twilio.com/docs/sendgrid/for-developers/parsing-email)."""

from __future__ import annotations

from mailchute import wire
from mailchute.payload import Payload

from .fields import addresses_of, fields_of, one_line
from .files import File, files_of
from .form import Pair, multipart
from .shape import Mail, Shape


def shape(mail: Mail) -> Shape:
    """Return its form, all in UTF-8. It has no signature: its receivers know it by basic_auth."""
    payload, message = mail.payload, mail.payload.message
    addresses, spam = addresses_of(message), payload.spam
    envelope = {"to": [payload.envelope.rcpt_to], "from": payload.envelope.mail_from}
    pairs: list[Pair] = [
        ("headers", "".join(f"{name}: {value}\n" for name, value in fields_of(message))),
        ("dkim", _dkim(payload)),
        ("to", addresses["to"]),
        ("from", addresses["from"]),
        ("subject", one_line(message.subject)),
        ("text", message.content.text),
        ("sender_ip", payload.envelope.client_ip),
        ("envelope", wire.encode_json(envelope).decode()),
        ("SPF", payload.auth.spf.result),
    ]
    if addresses["cc"]:
        pairs.append(("cc", addresses["cc"]))
    if message.content.html is not None:
        pairs.append(("html", message.content.html))
    if spam is not None:
        report = "\n".join(f"{symbol.score:g} {symbol.name} {symbol.description}" for symbol in spam.symbols)
        pairs += [("spam_score", f"{spam.score:g}"), ("spam_report", report)]
    charsets = dict.fromkeys(("to", "from", "cc", "subject", "text", "html"), "UTF-8")
    pairs.append(("charsets", wire.encode_json(charsets).decode()))
    files = [(f"attachment{number}", file) for number, file in enumerate(files_of(message), 1)]
    pairs.append(("attachments", str(len(files))))
    if files:
        pairs += _described(files)
    return multipart(pairs, files)


def _described(files: list[tuple[str, File]]) -> list[Pair]:
    info = {
        name: {"filename": file.name, "name": file.name, "type": file.content_type}
        | ({"content-id": file.content_id} if file.content_id else {})
        for name, file in files
    }
    pairs: list[Pair] = [("attachment-info", wire.encode_json(info).decode())]
    if references := {file.content_id: name for name, file in files if file.content_id}:
        pairs.append(("content-ids", wire.encode_json(references).decode()))
    return pairs


def _dkim(payload: Payload) -> str:
    results = ", ".join(f"@{one.domain} : {one.result}" for one in payload.auth.dkim)
    return "{" + (results or "none") + "}"
