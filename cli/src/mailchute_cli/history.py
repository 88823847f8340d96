"""One mail's story as a person reads it: what it is, where it went, and each attempt in turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from mailchute.schedule import offsets_of
from mailchute.store.mails import AttemptView, DeliveryView, MailView

from .table import cell, lines_of

INDENT = "  "
WIDTH = 14
ANSWER_CHARACTERS = 160  # of what the endpoint said to the last attempt that failed
SIZES = ((1024**2, "MiB"), (1024, "KiB"))
SPANS_S = ((86_400, "d"), (3_600, "h"), (60, "min"))


def told(
    mail: MailView,
    deliveries: Sequence[DeliveryView],
    attempts: Sequence[AttemptView],
    *,
    urls: Mapping[str, str],
    gaps_s: tuple[float, ...],
) -> Iterator[str]:
    """
    Yield its lines.

    Args:
        urls: Of endpoints by their ids; those that were taken away have none.
        gaps_s: The retry schedule, by which the next attempt is told.
    """
    yield f"{mail.id}  {mail.state}{_why(mail)}"
    yield from _facts(mail)
    by_time = sorted(deliveries, key=lambda one: (one.run != "0", one.run, one.created_at, one.id))
    for one in by_time:
        mine = [each for each in attempts if each.delivery_id == one.id]
        yield ""
        yield from _delivery(one, mine, urls.get(one.endpoint_id), gaps_s)
    if not by_time:
        yield ""
        yield "owed to no endpoint" if mail.state in ("rejected", "dead") else "owed to no endpoint yet"


def _why(mail: MailView) -> str:
    if mail.state == "rejected":
        return f": by the rule {cell(mail.reason)}"
    return f": {cell(mail.reason)} (at {cell(mail.stage)})" if mail.stage else ""


def _facts(mail: MailView) -> Iterator[str]:
    spam = None
    if mail.spam_score is not None:
        spam = f"{mail.spam_score:g}, {'spam' if mail.is_spam else 'no spam'}"
    facts = (
        ("accepted", mail.accepted_at),
        ("for", mail.recipient),
        ("subject", mail.subject),
        ("message-id", mail.message_id),
        ("size", None if mail.size_octets is None else size_of(mail.size_octets)),
        ("spam score", spam),
        ("resent", f"{mail.duplicate_count} times, stored once" if mail.duplicate_count else None),
        ("ended", mail.ended_at),
    )
    for name, value in facts:
        if value is not None:
            yield f"{INDENT}{name:{WIDTH}}{cell(value)}"
    for one in mail.attachments:
        yield f"{INDENT}{'attachment':{WIDTH}}{cell(one.filename)}, {cell(one.content_type)}, " + size_of(
            one.size_octets
        )


def _delivery(
    one: DeliveryView, attempts: Sequence[AttemptView], url: str | None, gaps_s: tuple[float, ...]
) -> Iterator[str]:
    kind = "to" if one.run == "0" else f"replay {one.run} to"
    state = f"{one.state}: {cell(one.dead_reason)}" if one.dead_reason else one.state
    yield f"{kind} {cell(url or 'an endpoint that is no more')} ({one.endpoint_id})  {state}"
    if not attempts:
        yield f"{INDENT}no attempt yet"
        return
    began_at = attempts[0].started_at
    rows = [
        (
            number, each.started_at, span_of((each.started_at - began_at).total_seconds()), each.result,
            each.status, f"{each.duration_s:.3f} s", each.reason or None,
        )
        for number, each in enumerate(attempts, 1)
    ]  # fmt: skip
    for line in lines_of(("#", "began", "after", "result", "status", "took", "what to do"), rows):
        yield INDENT + line
    answers = [(number, each.response) for number, each in enumerate(attempts, 1) if each.response]
    if answers and one.state != "delivered":
        number, answer = answers[-1]
        yield f"{INDENT}its answer to #{number}: {cell(answer[:ANSWER_CHARACTERS])}"
    if one.state == "failed" and attempts[-1].number < len(gaps_s):
        due_s = offsets_of(one.id, gaps_s)[attempts[-1].number]
        yield f"{INDENT}next attempt    {cell(began_at + timedelta(seconds=due_s))}, by the schedule"


def size_of(octets: int) -> str:
    """Return the size in the unit in which it is a small number."""
    for unit, name in SIZES:
        if octets >= unit:
            return f"{octets / unit:.1f} {name}"
    return f"{octets} octets"


def span_of(seconds: float) -> str:
    """Return the time since the first attempt in the unit in which it is a small number."""
    for unit_s, name in SPANS_S:
        if seconds >= 2 * unit_s:
            return f"+{seconds / unit_s:.1f} {name}"
    return f"+{seconds:.1f} s"
