"""Runs over many mails, worked on in this process until they are done or it ends."""

from __future__ import annotations

import threading

from mailchute.commands import Command
from mailchute.database import Database
from mailchute.errors import TransientError
from mailchute.eventlog import event_log
from mailchute.replaying import Replaying
from mailchute.store.replays import ReplayView

from .commands import Connector
from .problem import Problem

AT_ONCE = 4  # of all accounts: each has its own threads and waits on the connector
RETRY_AFTER_S = 30

log = event_log("api")


class Runs:
    """The runs that go on here. One that this process did not end goes on when it is asked for again."""

    def __init__(self) -> None:
        self._threads: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()

    def start(self, run: ReplayView, database: Database, connector: Connector) -> None:
        """
        Let it go on, unless it does.

        Raises:
            Problem: 429, as many go on as may; what is left of this one waits until it is asked for again.
        """
        assert run.run is not None
        with self._lock:
            self._threads = {name: each for name, each in self._threads.items() if each.is_alive()}
            if run.run in self._threads:
                return
            if len(self._threads) >= AT_ONCE:
                raise Problem(429, "other replays go on: ask for this one again", retry_after_s=RETRY_AFTER_S)
            thread = threading.Thread(
                target=_work, args=(run, database, connector), name=run.run, daemon=True
            )
            self._threads[run.run] = thread
            thread.start()

    def wait(self, timeout_s: float) -> None:
        """Wait for those that go on."""
        for thread in list(self._threads.values()):
            thread.join(timeout_s)


def _work(run: ReplayView, database: Database, connector: Connector) -> None:
    try:
        Replaying(database=database, push=lambda order: _pushed(connector, order)).work(run)
    except TransientError as error:
        log.warning("replay-left", run=run.run, reason=str(error))


def _pushed(connector: Connector, order: Command) -> bool:
    try:
        connector.carry_out(order)
    except Problem as problem:
        if problem.details.status == 503:
            raise TransientError(str(problem)) from problem
        return False  # 410, 409: gone meanwhile, or never for this endpoint
    return True
