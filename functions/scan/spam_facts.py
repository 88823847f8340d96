"""The facts that the spam engine's rules may ask for; the one place that lists them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from mailchute.encoded_words import decode_words
from mailchute.verdicts import Auth

from .message import Message
from .parts import Parts

_TEXT, _NUMBER, _CLAIM, _TEXTS = str, float, bool, tuple

SPAM_FACTS: Mapping[str, type] = {
    "spf": _TEXT,
    "spf.helo": _TEXT,
    "dkim": _TEXT,  # the best result of any signature
    "dkim.aligned": _CLAIM,
    "dmarc": _TEXT,
    "dmarc.policy": _TEXT,
    "arc": _TEXT,
    "arc.trusted": _CLAIM,
    "iprev": _TEXT,
    "sender.authenticated": _CLAIM,
    "sender.address": _TEXT,
    "sender.domain": _TEXT,
    "sender.ambiguous": _CLAIM,
    "sender.name": _TEXT,  # the display name
    "sender.mx": _CLAIM,
    "sender.null_mx": _CLAIM,
    "envelope.from": _TEXT,
    "envelope.helo": _TEXT,
    "envelope.ip": _TEXT,
    "header.*": _TEXT,
    "subject": _TEXT,
    "size": _NUMBER,  # octets
    "parts.count": _NUMBER,
    "text": _TEXT,  # the readable text: of text/plain parts, else of HTML without its tags
    "html": _TEXT,
    "html.only": _CLAIM,
    "links.count": _NUMBER,
    "links.domains": _TEXTS,
    "attachments.count": _NUMBER,
    "attachments.types": _TEXTS,
    "attachments.names": _TEXTS,
    "attachments.extensions": _TEXTS,
}

TEXT_MAX_CHARS = 64 * 1024
LINKS_MAX_COUNT = 200
_LINK = re.compile(r"https?://[^\s\"'<>()\[\]{}|\\^`\x00-\x1f]{3,2000}", re.IGNORECASE)
_TAG = re.compile(r"<[^>]{0,2000}>")


def facts_of(message: Message, auth: Auth, parts: Parts) -> dict[str, Any]:
    """Return the facts about one mail."""
    author = message.author
    best = min((s.result for s in auth.dkim), key=_RANK.index, default="none")
    html = "\n".join(parts.html)[:TEXT_MAX_CHARS]
    text = "\n".join(parts.text)[:TEXT_MAX_CHARS] or _TAG.sub(" ", html)
    links = list(dict.fromkeys(_LINK.findall(f"{text}\n{html}")))[:LINKS_MAX_COUNT]
    extensions = tuple(f.name.rpartition(".")[2].lower() for f in parts.files if "." in f.name)
    facts: dict[str, Any] = {
        "spf": auth.spf.result,
        "spf.helo": auth.spf.helo_result,
        "dkim": best,
        "dkim.aligned": auth.dmarc.aligned.dkim,
        "dmarc": auth.dmarc.result,
        "dmarc.policy": auth.dmarc.policy,
        "arc": auth.arc.result,
        "arc.trusted": auth.arc.trusted,
        "iprev": auth.iprev,
        "sender.authenticated": auth.sender.authenticated,
        "sender.address": author.address,
        "sender.domain": author.domain,
        "sender.ambiguous": author.is_ambiguous,
        "sender.name": author.mailboxes[0].name if author.mailboxes else None,
        "sender.mx": auth.sender_domain.mx,
        "sender.null_mx": auth.sender_domain.null,
        "envelope.from": str(message.reverse_path or ""),
        "envelope.helo": message.helo,
        "envelope.ip": message.client_ip or None,
        "size": float(len(message.content)),
        "parts.count": float(parts.count),
        "text": text,
        "html": html,
        "html.only": bool(parts.html) and not any(t.strip() for t in parts.text),
        "links.count": float(len(links)),
        "links.domains": tuple(dict.fromkeys(filter(None, map(_host_of, links)))),
        "attachments.count": float(len(parts.files)),
        "attachments.types": tuple(f.media_type for f in parts.files),
        "attachments.names": tuple(f.name for f in parts.files),
        "attachments.extensions": extensions,
    }
    for name, value in message.fields:
        key = f"header.{name.decode('ascii').lower().rstrip()}"
        shown = decode_words(value.decode("utf-8", "replace").strip())
        facts[key] = f"{facts[key]}\n{shown}" if key in facts else shown
    facts["subject"] = facts.get("header.subject")
    return facts


_RANK = ("pass", "policy", "neutral", "softfail", "fail", "permerror", "temperror", "none")


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
