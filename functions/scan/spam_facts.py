"""The facts that the spam engine's rules may ask for; the one place that lists them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from mailchute.author import read_mailboxes
from mailchute.verdicts import Auth

from .reading import Reading

_TEXT, _NUMBER, _CLAIM, _TEXTS = str, float, bool, tuple

SPAM_FACTS: Mapping[str, type] = {
    # who sent it
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
    "sender.disposable": _CLAIM,  # its domain stands on the list of throw-away mailboxes
    "envelope.from": _TEXT,
    "envelope.helo": _TEXT,
    "envelope.ip": _TEXT,
    "recipient.address": _TEXT,  # the forward-path
    "recipient.domain": _TEXT,
    "recipient.account": _TEXT,  # whose mail it is: acc_…
    # what it looks like
    "header.*": _TEXT,
    "subject": _TEXT,
    "subject.unencoded": _CLAIM,  # it holds characters that a field may not (RFC 5322, 2.2)
    "reply_to.differs": _CLAIM,  # answers would go to another domain than the author's
    "size": _NUMBER,  # octets
    "parts.count": _NUMBER,
    # what it says
    "text": _TEXT,  # of text/plain parts, else of HTML without its tags
    "text.length": _NUMBER,  # characters, without the white space around them
    "text.capitals": _NUMBER,  # the share of its letters a-z that are capitals; 0 of a short text
    "html": _TEXT,
    "html.only": _CLAIM,
    "html.images": _NUMBER,
    "bayes.probability": _NUMBER,  # of the trained classifier; nothing when there is none
    "burst.count": _NUMBER,  # mails of this very text to this domain in ten minutes
    # where it leads
    "links.count": _NUMBER,
    "links.domains": _TEXTS,
    "links.mismatched": _NUMBER,  # how many say they lead elsewhere
    "links.lookalike": _NUMBER,  # … have a host dressed up as another name
    "links.shortened": _NUMBER,
    "links.raw_ip": _NUMBER,
    "links.punycode": _NUMBER,
    "links.disguised": _NUMBER,  # … name a user or another port before or behind their host
    "links.phishing": _NUMBER,  # … stand on the list of phishing pages
    "links.phishing_host": _NUMBER,  # … have a host that has a page on that list
    # what is attached
    "attachments.count": _NUMBER,
    "attachments.types": _TEXTS,
    "attachments.names": _TEXTS,
    "attachments.extensions": _TEXTS,
    "attachments.program": _CLAIM,
    "attachments.disguised": _CLAIM,  # a program under a document's name
    "attachments.double_extension": _CLAIM,
    "attachments.encrypted": _CLAIM,  # an archive that no scanner can look into
    # what others say
    "dnsbl": _TEXTS,  # lists that list the client: of MAILCHUTE_DNSBL, and those the ingress names
    "dnsbl.count": _NUMBER,
    "uribl": _TEXTS,  # lists of MAILCHUTE_URIBL that list a link's domain
    "uribl.count": _NUMBER,
}

_RANK = ("pass", "policy", "neutral", "softfail", "fail", "permerror", "temperror", "none")


@dataclass(frozen=True, kw_only=True)
class Hearsay:
    """What lists and the classifier say."""

    dnsbl: tuple[str, ...] = ()
    uribl: tuple[str, ...] = ()
    is_disposable: bool = False
    phishing_count: int = 0
    phishing_host_count: int = 0
    burst_count: int = 1
    probability: float | None = None


def facts_of(reading: Reading, auth: Auth, hearsay: Hearsay, *, fields: Collection[str]) -> dict[str, Any]:
    """
    Return the facts about one mail.

    Args:
        fields: The `header.<name>` that may be asked for; others are not looked at.
    """
    return {
        **reading.header_facts(fields),
        **_sender_facts(reading, auth),
        **_content_facts(reading),
        "sender.disposable": hearsay.is_disposable,
        "bayes.probability": hearsay.probability,
        "burst.count": float(hearsay.burst_count),
        "links.phishing": float(hearsay.phishing_count),
        "links.phishing_host": float(hearsay.phishing_host_count),
        "dnsbl": hearsay.dnsbl,
        "dnsbl.count": float(len(hearsay.dnsbl)),
        "uribl": hearsay.uribl,
        "uribl.count": float(len(hearsay.uribl)),
    }


def _sender_facts(reading: Reading, auth: Auth) -> dict[str, Any]:
    message, author = reading.message, reading.message.author
    return {
        "spf": auth.spf.result,
        "spf.helo": auth.spf.helo_result,
        "dkim": min((s.result for s in auth.dkim), key=_RANK.index, default="none"),
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
        "recipient.address": str(message.recipient) if message.recipient else None,
        "recipient.domain": message.recipient_domain or None,
        "recipient.account": message.account_id or None,
        "reply_to.differs": _reply_differs(reading),
    }


def _content_facts(reading: Reading) -> dict[str, Any]:
    parts, links, files = reading.parts, reading.links, reading.files
    return {
        "subject": reading.subject or None,
        "subject.unencoded": any(not value.isascii() for value in reading.message.values(b"subject")),
        "size": float(len(reading.message.content)),
        "parts.count": float(parts.count),
        "text": reading.text,
        "text.length": float(len(reading.text.strip())),
        "text.capitals": reading.capitals_share,
        "html": reading.html,
        "html.only": bool(parts.html) and not any(t.strip() for t in parts.text),
        "html.images": float(reading.html.count("<img") + reading.html.count("<IMG")),
        "links.count": float(len(links.urls)),
        "links.domains": tuple(links.hosts),
        "links.mismatched": float(len(links.mismatched)),
        "links.lookalike": float(len(links.looks_alike)),
        "links.shortened": float(len(links.shortened)),
        "links.raw_ip": float(len(links.raw_ips)),
        "links.punycode": float(len(links.punycode)),
        "links.disguised": float(len(links.disguised)),
        "attachments.count": float(len(parts.files)),
        "attachments.types": tuple(f.media_type for f in parts.files),
        "attachments.names": tuple(f.name for f in parts.files),
        "attachments.extensions": files.extensions,
        "attachments.program": files.has_program,
        "attachments.disguised": files.has_disguise,
        "attachments.double_extension": files.has_double_extension,
        "attachments.encrypted": files.has_encrypted_archive,
    }


def _reply_differs(reading: Reading) -> bool:
    values = reading.message.values(b"reply-to")
    domain = reading.message.author.domain
    if not values or domain is None:
        return False
    organization = domain.split(".")[-2:]
    replies = [mailbox.email.rpartition("@")[2] for mailbox in read_mailboxes(values[0])]
    return any(reply.split(".")[-2:] != organization for reply in replies)
