"""One scan: who sent the mail, and is it spam; by the deadline with what is known by then."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from mailchute.eventlog import event_log
from mailchute.resolver import Resolver
from mailchute.verdicts import Auth, ScanReport, Security, Spam, Virus

from .authentication import Authentication
from .builtin import verdict_of
from .checks import Checks
from .clamav import Clamd
from .memory import Memory
from .message import Message
from .reading import Reading
from .settings import Settings
from .spam import Judgement, SpamEngine

POOL_THREADS = 128  # mails whose names are not cached wait in these, several checks each
LISTS_DEADLINE_S = 3.0  # block lists that take longer say nothing

log = event_log("scan")


class Scanner:
    """
    Scans mails; safe from threads.

    Args:
        now: Unix time in seconds.

    Raises:
        BadSetting: The spam rules or the classifier's model cannot be used.
    """

    def __init__(
        self, settings: Settings, *, resolver: Resolver | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._resolver = resolver or Resolver(settings.dns)
        self._memory = Memory()
        self._pool = ThreadPoolExecutor(POOL_THREADS, thread_name_prefix="scan")
        self._engine = SpamEngine(settings, self._pool)
        self._clamd = Clamd(settings.clamd) if settings.clamd else None
        self._now = now

    def scan(self, message: Message, *, spam_enabled: bool, threshold: float) -> ScanReport:
        """
        Return the report, by the deadline.

        Args:
            threshold: The score from which a mail is called spam.
        """
        started = time.monotonic()
        deadline = started + self._settings.deadline_s
        virus = self._begin_virus(message, deadline)
        reading = Reading(message)
        lists = self._checks(min(deadline, started + LISTS_DEADLINE_S))
        judgement = self._engine.begin(reading, threshold, lists, deadline) if spam_enabled else None
        authentication = Authentication(
            message, self._checks(deadline), arc_trusted=self._settings.arc_trusted, now=self._now()
        )
        auth = authentication.verdict(self._settings.authserv_id)
        return ScanReport(
            auth=auth,
            spam=self._judged(judgement, auth, threshold) if judgement is not None else None,
            security=Security(from_ambiguous=message.author.is_ambiguous, virus=_by(virus, deadline)),
            ptr=authentication.reverse().name,
        )

    def close(self) -> None:
        """Let go of the threads; checks under way are not waited for."""
        self._engine.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _judged(self, judgement: Judgement, auth: Auth, threshold: float) -> Spam:
        try:
            return judgement.verdict(auth)
        except Exception as error:  # noqa: BLE001 - the outermost shell: no mail is held up by a filter
            log.error("filter-broke", error=error, stage="scan")
            return verdict_of((), 0.0, threshold, engine="none")

    def _checks(self, deadline: float) -> Checks:
        return Checks(self._resolver, self._memory, self._pool, deadline)

    def _begin_virus(self, message: Message, deadline: float) -> Future[Virus | None] | None:
        if self._clamd is None:
            return None
        return self._pool.submit(self._clamd.check, message.content, deadline - time.monotonic())


def _by(virus: Future[Virus | None] | None, deadline: float) -> Virus | None:
    if virus is None:
        return None
    try:
        return virus.result(timeout=max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        virus.cancel()
    except Exception as error:  # noqa: BLE001 - no mail is held up by a scanner that broke
        log.error("filter-broke", error=error, stage="scan", reason="clamd")
    return None
