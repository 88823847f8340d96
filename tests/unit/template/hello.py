"""A function written for the tests of its host."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from mailchute.errors import BadSetting, ContentUnavailable, Undecodable
from mailchute.function import Answer, Call, failure

CONCURRENCY = 4
PUBLIC = True

started = threading.Event()


def start() -> None:
    started.set()
    if os.environ.get("HELLO_BAD_SETTING"):
        raise BadSetting("HELLO_BAD_SETTING is set: expected nothing")


def handle(call: Call) -> Answer:
    body = call.body
    if body == b"never":
        return failure(422, Undecodable("no such value"))
    if body == b"not now":
        return failure(503, ContentUnavailable("later"), retry_after_s=2.5)
    if body.startswith(b"break"):
        raise KeyError(body.decode())
    if body == b"nothing":
        return None  # type: ignore[return-value]
    if body == b"exit":
        raise SystemExit(3)
    if body.startswith(b"until "):
        gate = Path(body[6:].decode())
        gate.with_suffix(".begun").touch()
        while not gate.exists():
            time.sleep(0.01)
    if body == b"headers":
        return Answer(status=200, body=repr((call.content_type, call.accept, dict(call.headers))).encode())
    return Answer(status=200, body=b"hello " + body if started.is_set() else b"not started")
