"""One mail owed to one endpoint, and what came of one attempt to POST it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from mailchute.alias import Format
from mailchute.ids import derived_id
from mailchute.mail import ContentRef


class AttemptOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint did with one POST: a value, however bad."""

    # delivered: 2xx. failed: try again by the schedule. gone: 410, the endpoint wants no more.
    # refused: it can never be sent (the endpoint was deleted or is disabled).
    result: Literal["delivered", "failed", "gone", "refused"]
    status: int | None = None  # None: there was no HTTP answer
    reason: str = ""  # one line for a person, naming what to do where something can be done
    retry_after_s: float | None = None  # what the endpoint asked for (RFC 9110, 10.2.3)
    started_at: datetime
    duration_s: float
    response: bytes = b""  # the first 4 KB of the answer
    # Nothing was POSTed and the endpoint is not to blame: it is not verified, or the fault is ours.
    is_unsent: bool = False
    rate_per_s: float | None = None  # POSTs that the endpoint asks for at most; None: no limit


class WebhookDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """What rides on delivery.fresh and retry.<endpoint_id>."""

    version: int = 1
    id: str  # dlv_…, delivery_id_of(…)
    run: str  # "0", or the id of the replay that made it
    mail_id: str
    account_id: str
    domain_id: str
    alias_id: str
    endpoint_id: str
    format: Format = "native"
    payload: bytes | ContentRef  # the JSON of mailchute.payload
    mail_stream: str  # where the mail lies: raw formats and replay read it there
    mail_sequence: int
    tags: tuple[str, ...] = ()
    spam_score: float | None = None
    created_at: datetime
    first_attempt_at: datetime | None = None  # None: not tried yet; the schedule counts from it
    attempt_count: int = 0
    last_outcome: AttemptOutcome | None = None
    needs_raw: bool = False  # the endpoint includes `raw`: attempts bring the content along


class AttemptRequest(msgspec.Struct, frozen=True, kw_only=True):
    """deliver's input: a delivery with everything it refers to brought along."""

    version: int = 1
    delivery: WebhookDelivery
    payload: bytes  # the JSON, resolved
    raw: bytes | None = None  # the content as received, for formats and endpoints that carry it
    raw_trace_octets: int = 0  # how many of its first octets are our own trace fields
    deadline_at: datetime | None = None  # mode through: no POST that cannot end by then
    keep_response: bool = True  # False in residency mode
    challenge: str | None = None  # instead of the mail: the endpoint is to echo it (delivery names it only)


class RehearsalRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt to be shown and not made; no deliver takes it for an AttemptRequest."""

    version: int = 1
    rehearse: AttemptRequest


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """The request that an attempt would make now."""

    version: int = 1
    url: str
    head: bytes = b""  # request line and header section; what its owner set himself is hidden
    body: bytes = b""
    refusal: str | None = None  # why nothing would be sent


def delivery_id_of(mail_id: str, endpoint_id: str, run: str) -> str:
    """Return the id of this delivery, the same whenever it is made again."""
    return derived_id("dlv", mail_id, endpoint_id, run)
