"""Our own Authentication-Results field body (RFC 8601), from verdicts and never from the mail."""

from __future__ import annotations

import re

from mailchute.verdicts import Auth

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+")  # RFC 2045, 5.1
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~/=?-]*@[A-Za-z0-9.-]+")  # RFC 8601, 2.2


def authentication_results(auth: Auth, authserv_id: str, *, mail_from: str, helo: str, client_ip: str) -> str:
    """
    Return the field body.

    Args:
        authserv_id: The host that checked.
        mail_from: The reverse-path; "" is the null reverse-path.
    """
    spf_of = (
        f"smtp.mailfrom={_value(mail_from)}"
        if auth.spf.identity == "mailfrom"
        else f"smtp.helo={_value(helo)}"
    )
    parts = [authserv_id, f"spf={auth.spf.result} {spf_of}"]
    if auth.spf.identity == "mailfrom" and helo:
        parts.append(f"spf={auth.spf.helo_result} smtp.helo={_value(helo)}")
    for signature in auth.dkim:
        properties = {"d": signature.domain, "s": signature.selector, "a": signature.algorithm}
        named = "".join(f" header.{tag}={_value(text)}" for tag, text in properties.items() if text)
        parts.append(f"dkim={signature.result}{_reason(signature.reason)}{named}")
    if not auth.dkim:
        parts.append("dkim=none")
    dmarc = auth.dmarc
    shown = f" header.from={_value(dmarc.domain)}" if dmarc.domain else ""
    parts.append(f"dmarc={dmarc.result}{_reason(dmarc.reason)}{shown}")
    if auth.arc.instance:
        parts.append(f"arc={auth.arc.result}{_reason(auth.arc.reason)}")
    if client_ip:
        parts.append(f"iprev={auth.iprev}{_reason(auth.iprev_reason)} policy.iprev={_value(client_ip)}")
    return "; ".join(parts)


def _reason(text: str | None) -> str:
    return f" reason={_quoted(text)}" if text else ""


def _value(text: str) -> str:
    """Return a value that no reader can take for more than one (RFC 8601, 2.2: pvalue)."""
    if text and (_TOKEN.fullmatch(text) or _ADDRESS.fullmatch(text)):
        return text
    return _quoted(text)


def _quoted(text: str) -> str:
    shown = text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
    clean = shown.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{clean}"'
