"""A function that only the connector may call."""

from __future__ import annotations

from mailchute.function import Answer, Call

CONCURRENCY = 2
PUBLIC = False


def start() -> None:
    pass


def handle(call: Call) -> Answer:
    return Answer(status=200, body=b"private " + call.body)
