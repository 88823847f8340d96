"""What an HTTP answer means for the delivery, and what its endpoint's owner can do about it."""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from .answer import Answer

RETRY_AFTER_MAX_S = 7 * 86_400.0  # beyond our whole schedule: no need to carry larger numbers
SHOWN_CHARACTERS = 200  # of a Location

HINTS = {
    400: "the endpoint refused the request; its answer below may say why",
    401: "the endpoint wants to know who we are; set basic_auth or headers, or check the secret there",
    403: "the endpoint forbids it; check its signature check, firewall or bot protection",
    404: "nothing answers at this path; check the URL",
    405: "the endpoint does not take POST there; check the URL",
    408: "the endpoint waited too long for the body",
    411: "the endpoint insists on a length it was given; a proxy before it may drop it",
    413: "the body is too large for the endpoint; raise its limit, or include less",
    415: "the endpoint does not take this content type; check the format",
    422: "the endpoint could not work on the body; its answer below may say why",
    429: "the endpoint asks us to slow down",
}

_DELTA = re.compile(r"[0-9]{1,9}")
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")


def result_of(status: int) -> Literal["delivered", "failed", "gone"]:
    """Return what the status says (Standard Webhooks, "Delivery"): only 2xx is success."""
    if 200 <= status < 300:
        return "delivered"
    return "gone" if status == 410 else "failed"


def reason_of(answer: Answer) -> str:
    """Return one line for the endpoint's owner; "" when all is well."""
    status = answer.status
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        location = _UNPRINTABLE.sub("", answer.fields.get("location", ""))[:SHOWN_CHARACTERS]
        elsewhere = f" it points to: {location}" if location else " it should answer itself"
        return f"{status}: redirects are not followed; set the endpoint's URL to where{elsewhere}"
    if status == 410:
        return "410: the endpoint is gone and wants no more"
    if status >= 500:
        return f"{status}: the endpoint failed; its own log says why"
    return f"{status}: {HINTS.get(status, 'the endpoint refused it')}"


def retry_after_s_of(answer: Answer, now: datetime) -> float | None:
    """
    Return in how many seconds the endpoint wants to be asked again (RFC 9110, 10.2.3).

    Returns:
        None when it does not say, or not so that it can be understood.
    """
    value = answer.fields.get("retry-after")
    if value is None:
        return None
    if _DELTA.fullmatch(value):
        return min(float(value), RETRY_AFTER_MAX_S)
    try:
        at = parsedate_to_datetime(value)
        wait_s = (at - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None  # no date, or one without a zone
    return min(max(0.0, wait_s), RETRY_AFTER_MAX_S)
