"""One webhook handed on to a program on this machine, as it was made for it; what the program answered."""

from __future__ import annotations

import base64
import http.client
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
from mailchute.errors import BadSetting

ANSWER_S = 13.0  # nobody waits longer than 14
ANSWER_MAX_CHARACTERS = 4_096
LEAST_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Told:
    """What came of one webhook."""

    at: datetime
    subject: str | None
    status: int
    took_s: float
    answer: dict[str, Any]  # as the API takes it
    note: str = ""  # what a person should know beside the status


class Injected:
    """The failures that were asked for, each given once; safe from threads."""

    def __init__(self, statuses: Iterator[int]) -> None:
        self._statuses = statuses
        self._lock = threading.Lock()

    def next(self) -> int | None:
        with self._lock:
            return next(self._statuses, None)


class Forwarder:
    """
    POSTs to one URL.

    Raises:
        BadSetting: It is no URL.
    """

    def __init__(self, url: str, injected: Injected) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadSetting(f"--forward {url!r} is no URL; expected such as http://localhost:3000/hook")
        self._make = http.client.HTTPConnection if parts.scheme == "http" else http.client.HTTPSConnection
        self._host, self._port = parts.hostname, parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._injected = injected

    def forward(self, call: dict[str, Any]) -> Told:
        """Hand on the call: its header fields and octets as they are signed. What fails is a 502 or 504."""
        at, began_s = datetime.now().astimezone(), time.monotonic()
        body = base64.b64decode(call["body"])
        note, retry_after_s = "", None
        status = self._injected.next()
        text = "mailchute listen --fail"
        if status is not None:
            note = "injected; your program did not see it"
        else:
            status, text, retry_after_s, note = self._posted(call["fields"], body, call["leftS"])
        answer = {"status": status, "body": text[:ANSWER_MAX_CHARACTERS], "retryAfterS": retry_after_s}
        return Told(
            at=at,
            subject=_subject(body),
            status=status,
            took_s=time.monotonic() - began_s,
            answer=answer,
            note=note,
        )

    def _posted(
        self, fields: list[tuple[str, str]], body: bytes, left_s: float
    ) -> tuple[int, str, int | None, str]:
        connection = self._make(self._host, self._port, timeout=max(LEAST_S, min(ANSWER_S, left_s - 1)))
        try:
            connection.request("POST", self._target, body, dict(fields))
            answer = connection.getresponse()
            text = answer.read(ANSWER_MAX_CHARACTERS).decode("utf-8", "replace").replace("\x00", "\ufffd")
            if not answer.getheaders():  # http.client takes a lone status line for a whole answer
                raise http.client.HTTPException("the answer was cut off")
            waits = (answer.getheader("Retry-After") or "").strip()
            retry_after_s = min(int(waits), 86_400) if waits.isdecimal() and len(waits) < 9 else None
            return max(200, answer.status), text, retry_after_s, ""
        except TimeoutError:
            return 504, "the program did not answer in time", None, "it did not answer in time"
        except (OSError, http.client.HTTPException) as error:
            reason = f"{type(error).__name__}: {error}"
            return 502, f"the program could not be reached: {reason}", None, reason
        finally:
            connection.close()


def _subject(body: bytes) -> str | None:
    """Return the mail's subject where the body shows it as our own format does, or a peer's."""
    try:
        payload = msgspec.json.decode(body)
        message = payload.get("message")
        found = message.get("subject") if isinstance(message, dict) else payload.get("Subject")
    except (msgspec.MsgspecError, AttributeError):
        return None
    return found if isinstance(found, str) else None
