"""
Where an attempt to POST meets the developer who listens: the one waits here for what the other answers.

In memory alone: a call is content of a mail, so it is written nowhere, and what is lost with this process
is an attempt that failed and comes again by the schedule (ADR 0026).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mailchute.ids import new_id

ANSWER_S = 14.0  # deliver gives an attempt 15 s
ALIVE_S = 5.0  # after its last question a listener is taken to be there still, about to ask again
CALLS_MAX_COUNT = 16  # of one listener at a time; each holds a thread
HELD_MAX_OCTETS = 128 * 1024 * 1024  # of all


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the developer's program answered."""

    status: int
    body: str = ""
    retry_after_s: int | None = None


@dataclass(kw_only=True)
class WaitingCall:
    """One attempt, as it would have been POSTed."""

    id: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    ends_at: float  # by the clock of Calls
    is_taken: bool = False
    reply: Reply | None = None


@dataclass
class _Listener:
    asked_at: float
    asking_count: int = 0
    session: int = 0  # who asks in an earlier one is gone
    calls: list[WaitingCall] = field(default_factory=list)


class Calls:
    """
    The calls of every listener, by the token of its URL; safe from threads.

    Args:
        clock: Monotonic seconds.
        answer_s: How long a call waits for its answer.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, answer_s: float = ANSWER_S) -> None:
        self._clock = clock
        self._answer_s = answer_s
        self._changed = threading.Condition()
        self._listeners: dict[str, _Listener] = {}
        self._held_octets = 0

    def offer(self, token: str, fields: tuple[tuple[str, str], ...], body: bytes) -> Reply:
        """Return what the listener answers; 503 when none is there, 504 when none answered in time."""
        ends_at = self._clock() + self._answer_s
        call = WaitingCall(id=new_id("cll"), fields=fields, body=body, ends_at=ends_at)
        with self._changed:
            listener = self._living(token)
            if listener is None:
                return Reply(
                    status=503, body="nobody listens; `mailchute listen` takes it when it comes again"
                )
            if len(listener.calls) >= CALLS_MAX_COUNT or self._held_octets + len(body) > HELD_MAX_OCTETS:
                return Reply(status=503, body="the listener has its hands full", retry_after_s=1)
            listener.calls.append(call)
            self._held_octets += len(body)
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: call.reply is not None, self._answer_s)
            finally:
                listener.calls.remove(call)
                self._held_octets -= len(body)
            return call.reply or Reply(status=504, body="the listener did not answer in time")

    def next(self, token: str, wait_s: float) -> WaitingCall | None:
        """Return a call that nobody has taken yet, waiting for one; None when none came."""
        with self._changed:
            listener = self._listeners.setdefault(token, _Listener(self._clock()))
            listener.asking_count += 1
            session = listener.session
            try:
                self._changed.wait_for(
                    lambda: listener.session != session or _untaken(listener) is not None, wait_s
                )
                call = _untaken(listener) if listener.session == session else None
                if call is not None:
                    call.is_taken = True
                return call
            finally:
                listener.asking_count -= 1
                if listener.session == session:
                    listener.asked_at = self._clock()

    def dismiss(self, token: str) -> None:
        """
        Send away whoever asks for this token: they left, and a call handed to them would be lost.

        A server does not learn that a client which waits for its answer has gone.
        """
        with self._changed:
            listener = self._listeners.get(token)
            if listener is not None:
                listener.session += 1
                listener.asked_at = float("-inf")
                self._changed.notify_all()

    def answer(self, token: str, call_id: str, reply: Reply) -> bool:
        """Return whether the call still waited for this."""
        with self._changed:
            listener = self._listeners.get(token)
            call = next((one for one in listener.calls if one.id == call_id), None) if listener else None
            if call is None or call.reply is not None:
                return False
            call.reply = reply
            self._changed.notify_all()
            return True

    def asking_count(self, token: str) -> int:
        """Return how many wait for a call of this token now."""
        with self._changed:
            listener = self._listeners.get(token)
            return listener.asking_count if listener else 0

    def left_s(self, call: WaitingCall) -> float:
        """Return the seconds within which an answer to the call counts."""
        return max(0.0, call.ends_at - self._clock())

    def _living(self, token: str) -> _Listener | None:
        """Return the listener of this token if it is there; forget those that went away."""
        oldest = self._clock() - ALIVE_S
        for name, one in list(self._listeners.items()):
            if not one.asking_count and not one.calls and one.asked_at < oldest:
                del self._listeners[name]
        return self._listeners.get(token)


def _untaken(listener: _Listener) -> WaitingCall | None:
    return next((one for one in listener.calls if not one.is_taken), None)
