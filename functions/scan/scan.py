"""One scan: who sent the mail, and is it spam; by the deadline with what is known by then."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from mailchute.resolver import Resolver
from mailchute.verdicts import ScanReport, Security, Spam

from .authentication import Authentication
from .builtin import judge
from .checks import Checks
from .memory import Memory
from .message import Message
from .parts import parts_of
from .rules import SHIPPED, read_rules
from .settings import Settings
from .spam_facts import facts_of

POOL_THREADS = 64  # mails whose names are not cached wait in these, several checks each


class Scanner:
    """
    Scans mails; safe from threads.

    Args:
        now: Unix time in seconds.

    Raises:
        BadSetting: The spam rules cannot be used.
    """

    def __init__(
        self, settings: Settings, *, resolver: Resolver | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._resolver = resolver or Resolver(settings.dns)
        self._pool = ThreadPoolExecutor(POOL_THREADS, thread_name_prefix="scan")
        self._rules = read_rules(SHIPPED, *([settings.rules_dir] if settings.rules_dir else []))
        self._memory = Memory()
        self._now = now

    def scan(self, message: Message, *, spam_enabled: bool, threshold: float) -> ScanReport:
        """
        Return the report; raises nothing, and answers by the deadline.

        Args:
            threshold: The score from which a mail is called spam.
        """
        checks = Checks(
            self._resolver, self._memory, self._pool, time.monotonic() + self._settings.deadline_s
        )
        authentication = Authentication(
            message, checks, arc_trusted=self._settings.arc_trusted, now=self._now()
        )
        auth = authentication.verdict(self._settings.authserv_id)
        spam: Spam | None = None
        if spam_enabled:
            spam = judge(self._rules, facts_of(message, auth, parts_of(message)), threshold)
        return ScanReport(
            auth=auth,
            spam=spam,
            security=Security(from_ambiguous=message.author.is_ambiguous),
            ptr=authentication.reverse().name,
        )

    def close(self) -> None:
        """Let go of the threads; checks under way are not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
