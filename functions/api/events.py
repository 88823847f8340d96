"""
What an account may follow: its events as a list, a list that waits (long poll), or a stream (SSE).

Each answer ends within 25 s, since proxies cut off longer ones; who follows asks again from the last id it
has seen (Last-Event-ID, as a browser does by itself, or `after`) and misses nothing: ADR 0025.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import flask
import msgspec
from mailchute import wire
from mailchute.errors import DatabaseUnavailable
from mailchute.store import account_events
from mailchute.store.account_events import AccountEventView

from .operation import Limit, Operation, Request
from .problem import Mistake, Problem

WAIT_MAX_S = 25
POLL_S = 0.5  # how often a follower's question is put to the database: one look into an index
HEARTBEAT_S = 5.0  # a comment, so that a connection that is gone is noticed
FOLLOWERS_MAX_COUNT = 16  # of this process: each holds one of the front's 32 calls
FOLLOWERS_MAX_COUNT_OF_ACCOUNT = 4
EVENT_STREAM = "text/event-stream"
_SEQUENCE_MAX = 2**63 - 1

Sequence = Annotated[int, msgspec.Meta(ge=0, le=_SEQUENCE_MAX)]
Wait = Annotated[int, msgspec.Meta(ge=0, le=WAIT_MAX_S)]


class EventQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which events, and how long to wait for one."""

    after: Sequence | None = None  # the id of the last one seen; None: all that are kept
    wait: Wait = 0  # seconds to wait when there is none yet
    limit: Limit = 50


class Events(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Events, the oldest first; ask again with `after`."""

    items: tuple[AccountEventView, ...]
    after: str  # the id of the last one seen


class Followers:
    """Who follows now: bounded, for each holds a connection and a thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    @contextmanager
    def one_more(self, account_id: str) -> Iterator[None]:
        """
        Raises:
            Problem: 429, there are as many as there can be.
        """
        self.enter(account_id)
        try:
            yield
        finally:
            self.leave(account_id)

    def enter(self, account_id: str) -> None:
        with self._lock:
            if (
                self._counts[account_id] >= FOLLOWERS_MAX_COUNT_OF_ACCOUNT
                or self._counts.total() >= FOLLOWERS_MAX_COUNT
            ):
                raise Problem(429, "as many follow already as can: try again", retry_after_s=5)
            self._counts[account_id] += 1

    def leave(self, account_id: str) -> None:
        with self._lock:
            self._counts[account_id] -= 1
            if not self._counts[account_id]:
                del self._counts[account_id]


followers = Followers()


def _work(request: Request) -> Any:
    query: EventQuery = request.query
    after = _after(query)
    if EVENT_STREAM in flask.request.headers.get("Accept", ""):
        return _stream(request, after, query.limit)
    found = _read(request, after, query.limit)
    if not found and query.wait:
        with followers.one_more(request.account_id):
            ends_s = time.monotonic() + query.wait
            while not found and time.monotonic() < ends_s:
                time.sleep(POLL_S)
                found = _read(request, after, query.limit)
    return Events(items=tuple(found), after=found[-1].id if found else str(after))


def _stream(request: Request, after: int, limit: int) -> flask.Response:
    """Return the events as they come (WHATWG HTML, 9.2.6), for at most 25 s."""
    found = _read(request, after, limit)  # before the answer begins: it can still be a 503
    followers.enter(request.account_id)
    answer = flask.Response(_told(request, found, after, limit), content_type=EVENT_STREAM)
    answer.call_on_close(lambda: followers.leave(request.account_id))
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Accel-Buffering"] = "no"  # nginx holds a stream back otherwise
    return answer


def _told(request: Request, found: list[AccountEventView], after: int, limit: int) -> Iterator[bytes]:
    ends_s, quiet_since_s = time.monotonic() + WAIT_MAX_S, time.monotonic()
    yield b"retry: 1000\n\n"
    while True:
        for one in found:
            after = int(one.id)
            yield f"id: {one.id}\nevent: {one.kind}\ndata: {wire.encode_json(one).decode()}\n\n".encode()
        now_s = time.monotonic()
        if found:
            quiet_since_s = now_s
        elif now_s - quiet_since_s >= HEARTBEAT_S:
            quiet_since_s = now_s
            yield b": \n\n"
        if now_s >= ends_s:
            return
        if not found:
            time.sleep(POLL_S)
        try:
            found = _read(request, after, limit)
        except DatabaseUnavailable:
            return  # the stream ends, and whoever follows comes again


def _after(query: EventQuery) -> int:
    last = flask.request.headers.get("Last-Event-ID")
    if last is None or query.after is not None:
        return query.after or 0
    if not (last.isascii() and last.isdecimal() and len(last) < 20 and int(last) <= _SEQUENCE_MAX):
        raise Problem(
            400,
            "Last-Event-ID: take the id of an event",
            mistakes=(Mistake(field="Last-Event-ID", text="is no id of an event"),),
        )
    return int(last)


def _read(request: Request, after: int, limit: int) -> list[AccountEventView]:
    with request.services.database.read() as connection:
        return account_events.list_events(connection, request.account_id, after=after, limit=limit)


OPERATIONS = (
    Operation(
        method="GET", path="/events", scope="emails:read", answers=Events, query=EventQuery, work=_work,
        does="List, wait for, or follow (Accept: text/event-stream) what happens in the account.",
        also_answers=EVENT_STREAM,
    ),
)  # fmt: skip
