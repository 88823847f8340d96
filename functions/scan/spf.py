"""
SPF (RFC 7208), decided by pyspf.

The one place where pyspf is bent to us. It keeps one resolver and its failures in module globals;
a check of ours asks through `Lookups` instead, so checks run side by side, deadlines hold and a
failure is named. It fetches `exp=` texts nobody reads; ours do not.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import spf
from mailchute.answers import Answer
from mailchute.errors import LookupFailed
from mailchute.verdicts import Result

from .lookups import Lookups
from .message import Message

_RESULTS: dict[str, Result] = {
    "none": "none",
    "neutral": "neutral",
    "pass": "pass",
    "fail": "fail",
    "softfail": "softfail",
    "temperror": "temperror",
    "permerror": "permerror",
}


@dataclass(frozen=True)
class SpfFinding:
    """What SPF says about one identity."""

    result: Result
    domain: str | None  # whose record it was; None when the identity names no domain
    reason: str | None = None  # why not pass


def check_mail_from(message: Message, lookups: Lookups) -> SpfFinding:
    """Return the result for RFC5321.MailFrom, or for HELO under the null reverse-path (2.4)."""
    path = message.reverse_path
    if path is None:
        return check_helo(message, lookups)
    return _recall(message, f"{path.local_part}@{path.domain}", path.domain, lookups)


def check_helo(message: Message, lookups: Lookups) -> SpfFinding:
    """Return the result for RFC5321.HELO (2.3)."""
    return _recall(message, "", message.helo.rstrip(".").lower(), lookups)


def _recall(message: Message, sender: str, domain: str, lookups: Lookups) -> SpfFinding:
    if not message.client_ip:
        return SpfFinding("none", domain or None, "the client's address is not known")
    if "." not in domain or domain.startswith("["):
        return SpfFinding("none", None, "no fully qualified domain")  # 4.3
    check = partial(_check, message.client_ip, message.helo, sender, domain)
    return lookups.recall(("spf", message.client_ip, domain, bool(sender)), check, unless=_has_macros)


def _has_macros(answers: Sequence[Answer]) -> bool:
    """Say whether the result may depend on more than client and domain (7.2)."""
    return any("%{" in text for answer in answers for text in answer.texts)


def _check(client_ip: str, helo: str, sender: str, domain: str, lookups: Lookups) -> SpfFinding:
    try:
        ipaddress.ip_address(client_ip)
        query = _Query(lookups, i=client_ip, s=sender, h=helo if sender else domain)
    except ValueError:
        return SpfFinding("none", domain, "the client's address is none")
    result, _, explanation = query.check()
    reason: str | None = None if result in ("pass", "none") else str(explanation)
    if result == "none":
        reason = "no SPF record"
    return SpfFinding(_RESULTS.get(result, "permerror"), domain, reason)


class _Query(spf.query):  # type: ignore[misc]
    """pyspf's check of one identity, asking through look-ups of ours."""

    def __init__(self, lookups: Lookups, **identity: str) -> None:
        self._lookups = lookups
        super().__init__(**identity, strict=True, querytime=0)

    def dns(self, name: str, qtype: str, cnames: Any = None, ignore_void: bool = False) -> list[Any]:
        """Return the records in pyspf's own shapes; the resolver has followed CNAMEs already."""
        try:
            answer = self._lookups.lookup(str(name), qtype)
        except LookupFailed as failure:
            raise spf.TempError(str(failure)) from failure
        if not answer.texts and not ignore_void:
            self.void_lookups += 1  # 4.6.4
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError(f"Void lookup limit of {spf.MAX_VOID_LOOKUPS} exceeded")
        if qtype == "TXT":
            return [(octets,) for octets in answer.octets]
        if qtype == "MX":
            return [(int(text.split(" ", 1)[0]), text.split(" ", 1)[1]) for text in answer.texts]
        return list(answer.texts)

    def get_explanation(self, spec: str) -> None:
        """Fetch nothing: the explanation is for the SMTP client of a server that rejects (6.2)."""
