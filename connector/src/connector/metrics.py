"""The connector in numbers, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator

from connector.leaks import StreamState
from connector.pipeline import Pipeline

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_STREAM_METRICS = (
    ("stream_messages", "Messages on the stream.", "message_count"),
    ("stream_octets", "Octets on the stream.", "octets"),
    ("stream_max_octets", "Octets the stream may hold.", "max_octets"),
    ("stream_pending", "Messages that were not handed out yet.", "pending_count"),
    ("stream_ack_pending", "Messages handed out and not acknowledged.", "ack_pending_count"),
    ("stream_stranded", "Messages of a work queue in nobody's hands; returns to 0.", "stranded_count"),
    ("stream_ack_floor", "Sequence up to which everything is acknowledged.", "ack_floor"),
)


def text_of(pipeline: Pipeline, streams: list[StreamState]) -> str:
    """Return the page that /metrics shows."""
    return "\n".join([*_lines(pipeline, streams), ""])


def _lines(pipeline: Pipeline, streams: list[StreamState]) -> Iterator[str]:
    for name, about, attribute in _STREAM_METRICS:
        yield from _head(name, about)
        for state in streams:
            yield f'mailchute_{name}{{stream="{state.name}"}} {getattr(state, attribute)}'
    yield from _head("function_away", "1 while nothing is pulled for the function.")
    for function in pipeline.functions.values():
        yield f'mailchute_function_away{{function="{function.name}"}} {int(not function.is_there.is_set())}'
    yield from _head("function_waiting", "Values queued for the function, and calls open.")
    for function in pipeline.functions.values():
        yield f'mailchute_function_waiting{{function="{function.name}"}} {function.waiting_count}'
    yield from _head("function_calls_total", "HTTP calls made.", "counter")
    for function in pipeline.functions.values():
        yield f'mailchute_function_calls_total{{function="{function.name}"}} {function.call_count}'
    yield from _head("function_values_total", "Values that rode in them.", "counter")
    for function in pipeline.functions.values():
        yield f'mailchute_function_values_total{{function="{function.name}"}} {function.value_count}'
    yield from _head("in_hand", "Messages being worked on.")
    for name, pull in pipeline.pulls.items():
        yield f'mailchute_in_hand{{stream="{name}"}} {pull.in_hand_count}'
    for name, about, value in (
        ("through_in_hand", "Mails whose client waits for the answer.", pipeline.through.in_hand_count),
        ("lanes", "Retry lanes served.", len(pipeline.lanes.lanes)),
        ("slow_attempts", "Attempts older than a second.", pipeline.endpoints.slow_count),
        ("content_held_octets", "Octets of large mail in memory.", pipeline.contents.held_octets),
        (
            "expiry_oldest_due_s",
            "For how long the oldest mail to be removed is due.",
            pipeline.expiry.oldest_due_s,
        ),
        ("journal_failing", "1 while the journal cannot be written.", int(pipeline.journal.is_failing)),
    ):
        yield from _head(name, about)
        yield f"mailchute_{name} {value}"

    yield from _head("through_answers_total", "What clients of mode through were told.", "counter")
    for result, count in sorted(pipeline.through.answer_counts.items()):
        yield f'mailchute_through_answers_total{{result="{result}"}} {count}'
    yield from _head("mail_expired_total", "Mails removed for good after their retention.", "counter")
    yield f"mailchute_mail_expired_total {pipeline.expiry.expired_count}"


def _head(name: str, about: str, kind: str = "gauge") -> tuple[str, str]:
    return f"# HELP mailchute_{name} {about}", f"# TYPE mailchute_{name} {kind}"
