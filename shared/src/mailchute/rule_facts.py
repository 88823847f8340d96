"""The facts an alias's rules may ask for, by name; the one place that lists them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailchute.mail import MailObject
from mailchute.verdicts import ScanReport

# "texts" is a list of text: `attachments.extensions contains "exe"`.
_TEXT, _NUMBER, _CLAIM, _TEXTS = str, float, bool, tuple

RULE_FACTS: Mapping[str, type] = {
    # from scan's report
    "spam.score": _NUMBER,  # Rspamd's scale
    "spam.probability": _NUMBER,  # 0..1
    "spam.is_spam": _CLAIM,
    "spam.symbols": _TEXTS,  # the names of the rules that hit
    "sender.address": _TEXT,  # the one RFC5322.From address; nothing when ambiguous
    "sender.domain": _TEXT,
    "sender.name": _TEXT,  # as the From field shows it; parse adds it
    "sender.authenticated": _CLAIM,
    "sender.ambiguous": _CLAIM,
    "spf": _TEXT,  # RFC 8601 results: "pass", "fail", "none", "temperror", …
    "spf.aligned": _CLAIM,
    "dkim": _TEXT,  # "pass" when one signature passed, else the first one's result, else "none"
    "dkim.aligned": _CLAIM,  # a signature passed whose domain is the author's
    "dkim.domains": _TEXTS,  # of the signatures that passed
    "dmarc": _TEXT,
    "dmarc.policy": _TEXT,  # "none", "quarantine", "reject"; nothing without a record
    "arc": _TEXT,
    "arc.trusted": _CLAIM,
    "iprev": _TEXT,
    "virus": _CLAIM,  # the virus scanner found one
    # from the envelope and the alias
    "envelope.from": _TEXT,  # the reverse-path; "" for a DSN
    "envelope.helo": _TEXT,
    "envelope.ip": _TEXT,
    "envelope.tls": _CLAIM,  # the session was not in clear
    "recipient.address": _TEXT,  # the forward-path
    "recipient.local_part": _TEXT,
    "recipient.domain": _TEXT,
    "recipient.tag": _TEXT,  # what stood after the plus sign
    "size": _NUMBER,  # octets
    # from the message itself; parse adds these
    "subject": _TEXT,
    "header.*": _TEXT,  # header.list-id; several fields of one name are joined by a line break
    "attachments.count": _NUMBER,
    "attachments.types": _TEXTS,  # declared media types, and detected ones
    "attachments.extensions": _TEXTS,  # of their file names, lower case, without the dot
    "attachments.names": _TEXTS,  # their file names
    "attachments.octets": _NUMBER,  # of all of them, decoded
    "attachments.largest": _NUMBER,  # octets of the largest; 0 without any
}


def facts_of(mail: MailObject, report: ScanReport) -> dict[str, Any]:
    """Return the facts that do not need the message parsed; parse adds the rest to them."""
    auth, spam, virus = report.auth, report.spam, report.security.virus
    passed = tuple(signature for signature in auth.dkim if signature.result == "pass")
    return {
        "spam.score": spam.score if spam else None,
        "spam.probability": spam.probability if spam else None,
        "spam.is_spam": spam.is_spam if spam else None,
        "spam.symbols": tuple(symbol.name for symbol in spam.symbols) if spam else (),
        "sender.address": auth.sender.address,
        "sender.domain": auth.sender.address.rpartition("@")[2] if auth.sender.address else None,
        "sender.authenticated": auth.sender.authenticated,
        "sender.ambiguous": report.security.from_ambiguous,
        "spf": auth.spf.result,
        "spf.aligned": auth.dmarc.aligned.spf,
        "dkim": "pass" if passed else auth.dkim[0].result if auth.dkim else "none",
        "dkim.aligned": auth.dmarc.aligned.dkim,
        "dkim.domains": tuple(signature.domain for signature in passed),
        "dmarc": auth.dmarc.result,
        "dmarc.policy": auth.dmarc.policy,
        "arc": auth.arc.result,
        "arc.trusted": auth.arc.trusted,
        "iprev": auth.iprev,
        "virus": virus.infected if virus else None,
        "envelope.from": str(mail.envelope.reverse_path or ""),
        "envelope.helo": mail.envelope.helo,
        "envelope.ip": mail.envelope.client_ip,
        "recipient.address": str(mail.envelope.forward_path),
        "envelope.tls": mail.envelope.tls is not None,
        "recipient.local_part": mail.envelope.forward_path.local_part,
        "recipient.domain": mail.envelope.forward_path.domain,
        "recipient.tag": mail.alias.tag,
        "size": float(mail.size_octets),
    }
