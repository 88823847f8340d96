"""A function as its server holds it: the handler, its slots, and the calls and batches in them."""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any

from mailchute import wire
from mailchute.eventlog import event_log
from mailchute.function import BROKEN, Answer, Call

# Calls that may wait for a slot: all that one connector has in hand (256 mails). To be told "full" would
# make it stop pulling. Beyond that someone else is calling too, or this process is stuck.
WAITING_MAX = 256

PATIENCE_S = 0.006  # with no item finished, before more threads join; a scan computes for 1 to 2 ms


class Hosted:
    """One function: its handler, and how many calls it is working on."""

    def __init__(self, module: Any, *, name: str, max_inflight: int = 0) -> None:
        self.name = name
        self.is_public: bool = module.PUBLIC
        self.concurrency: int = min(module.CONCURRENCY, max_inflight or module.CONCURRENCY)
        self._handle: Callable[[Call], Answer] = module.handle
        self._threads = ThreadPoolExecutor(self.concurrency, thread_name_prefix=name)
        self._slots = threading.Semaphore(self.concurrency)
        self._in_flight = 0
        self._lock = threading.Lock()

    def enter(self, count: int = 1, *, may_wait: bool = False, always: bool = False) -> bool:
        """
        Take calls in; False when there is no room (a batch may overshoot once).

        Args:
            may_wait: Room is also where calls wait for a slot.
        """
        with self._lock:
            room = self.concurrency + (WAITING_MAX if may_wait else 0)
            has_room = always or self._in_flight < room
            self._in_flight += count if has_room else 0
            return has_room

    def leave(self, count: int = 1) -> None:
        with self._lock:
            self._in_flight -= count

    def answer(self, call: Call) -> Answer:
        """Return what the handler answers, or 500 when it broke: nothing it says leaves this process."""
        try:
            with self._slots:
                given = self._handle(call)
            if not isinstance(given, Answer):
                raise TypeError("handle() returned no Answer")
            return given
        except BaseException as error:  # noqa: BLE001 - the outermost shell: a caller always hears
            kind = type(error).__name__
            frames = "".join(traceback.format_tb(error.__traceback__))  # without values: mail is in them
            event_log("function").error("function.broke", stage=self.name, reason=kind, traceback=frames)
            return refusal(BROKEN, "the function broke on this call", kind)

    def batch(self, items: list[bytes]) -> Iterator[bytes]:
        """Work on the items side by side; return their answers as they finish, for a stream."""
        return Batch(items, self, self._threads)


class Batch:
    """
    Many calls in one request. Each item gives up its slot itself, whoever still listens.

    It begins with one thread, and doubles them while no item finishes: items that wait for a network
    then wait side by side, and items that compute do not fight for the interpreter (a scan in a batch
    of 32 costs 3.1 ms of CPU with 32 threads, 1.9 with one).
    """

    def __init__(self, items: list[bytes], hosted: Hosted, threads: ThreadPoolExecutor) -> None:
        self._hosted = hosted
        self._waiting = deque(enumerate(items))
        self._done: SimpleQueue[bytes] = SimpleQueue()
        self._owed_count = len(items)
        self._threads = threads
        self._thread_count = 0
        self._thread_max_count = min(len(items), hosted.concurrency)
        hosted.enter(len(items), always=True)
        self._double()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._owed_count:
            raise StopIteration
        answers = [self._first()]
        with contextlib.suppress(Empty):
            while True:
                answers.append(self._done.get_nowait())
        self._owed_count -= len(answers)
        return b"".join(answers)

    def _first(self) -> bytes:
        while self._thread_count < self._thread_max_count:
            with contextlib.suppress(Empty):
                return self._done.get(timeout=PATIENCE_S)
            self._double()
        return self._done.get()

    def _double(self) -> None:
        more = min(max(1, self._thread_count), self._thread_max_count - self._thread_count)
        self._thread_count += more
        for _ in range(more):
            self._threads.submit(self._work)

    def close(self) -> None:
        """Begin nothing more: the caller is gone and asks again."""
        with contextlib.suppress(IndexError):
            while True:
                self._waiting.popleft()
                self._hosted.leave()

    def _work(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                index, body = self._waiting.popleft()
                given = self._hosted.answer(Call(body=body))
                self._hosted.leave()
                self._done.put(wire.encode((index, given.status, given.body, given.retry_after_s)))


def refusal(status: int, text: str, kind: str, *, retry_after_s: float | None = None) -> Answer:
    body = wire.encode_json({"error": text, "type": kind})
    return Answer(status=status, body=body, content_type=wire.JSON, retry_after_s=retry_after_s)
