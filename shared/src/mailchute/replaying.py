"""Pushing a run through the connector's command door: at its rate, and on from where it was left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from mailchute.commands import Command
from mailchute.database import Database
from mailchute.errors import TransientError
from mailchute.store import replays

RATE_PER_S = 50.0  # unless another is asked for
RATE_MAX_PER_S = 1_000.0
PAGE_COUNT = 50  # mails that are done again at most when a run is killed; each is repeatable
AT_ONCE = 8  # orders: the connector answers each when its deliveries are on the stream
PATIENCE_S = 300.0  # with a mail flow that does not answer, then the run is left for later
RETRY_S = 1.0

Push = Callable[[Command], bool]  # whether it was carried out; False: never will be. Raises TransientError


@dataclass(frozen=True, kw_only=True)
class Replaying:
    """
    Works on runs.

    Args:
        push: Asks the connector.
    """

    database: Database
    push: Push

    def work(self, run: replays.ReplayView, progress: Callable[[int], None] = lambda _count: None) -> None:
        """
        Do what is left of the run; two who work on the same one do it once.

        Args:
            progress: Told how many mails more are done.

        Raises:
            TransientError: The mail flow or the database is away; go on later with the same run.
        """
        assert run.run is not None
        stopping = threading.Event()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                self._work(run, run.run, progress, lambda order: pool.submit(self._pushed, order, stopping))
            finally:
                stopping.set()  # or the pool would wait for those that are tried again and again

    def _work(
        self,
        run: replays.ReplayView,
        name: str,
        progress: Callable[[int], None],
        submit: Callable[[Command], Future[bool]],
    ) -> None:
        count = max(1, min(PAGE_COUNT, int(run.rate_per_s)))
        slot_s = time.monotonic()
        while True:
            with self.database.read() as connection:
                after, page = replays.next_page(connection, name, limit=count)
            if page is None:
                break
            answers = []
            for order in page.orders:
                time.sleep(max(0.0, slot_s - time.monotonic()))
                slot_s = max(slot_s, time.monotonic()) + 1 / run.rate_per_s
                answers.append(submit(order))
            refused_count = sum(not answer.result() for answer in answers)
            with self.database.write() as connection:
                replays.advance(connection, name, page, after=after, refused_count=refused_count)
            progress(page.count)
        with self.database.write() as connection:
            replays.end(connection, name, datetime.now(UTC))

    def _pushed(self, order: Command, stopping: threading.Event) -> bool:
        given_up_at = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.push(order)
            except TransientError:
                if time.monotonic() >= given_up_at or stopping.wait(RETRY_S):
                    raise
