"""Domains whose DNS records are due are looked up again, beside the calls and never in their way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from mailchute.database import Database
from mailchute.domain_check import Dns, checked
from mailchute.errors import MailchuteError
from mailchute.eventlog import event_log
from mailchute.store.domain_checks import CHECKER, due_domains, keep_check

DOMAINS_AT_ONCE = 50  # of one run; the next call goes on

log = event_log("expire")


class DomainChecks:
    """
    Runs in a thread of its own: a DNS that hangs holds up no mail whose retention ends.

    Killed in between, nothing is kept and the domain is due again; of two that check the same domain at
    once one is kept.
    """

    def __init__(self, database: Database, dns: Dns, now: Callable[[], datetime]) -> None:
        self._database = database
        self._dns = dns
        self._now = now
        self._running = threading.Lock()

    def begin(self) -> None:
        """Start a run unless one is under way."""
        if self._running.acquire(blocking=False):
            threading.Thread(target=self._run, name="domain-checks", daemon=True).start()

    def run(self) -> int:
        """
        Check what is due; return how many domains were.

        Raises:
            DatabaseUnavailable: It does not answer.
        """
        with self._database.read() as connection:
            due = due_domains(connection, self._now(), limit=DOMAINS_AT_ONCE)
        for one in due:
            records = checked(one.records, self._dns, self._now())
            with self._database.write() as connection:
                keep_check(connection, one, records, now=self._now(), actor=CHECKER)
        return len(due)

    def _run(self) -> None:
        try:
            self.run()
        except MailchuteError as error:
            log.warning("domain-checks-wait", stage="expire", reason=str(error))
        except Exception as error:  # noqa: BLE001 - a thread that dies silently checks nothing any more
            log.error("domain-checks-broke", stage="expire", reason=f"{type(error).__name__}: {error}")
        finally:
            self._running.release()
