"""The spam verdict of one mail: Rspamd's when there is one and it answers, else the built-in engine's."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor

from mailchute.classifier import load, probability, tokens_in
from mailchute.eventlog import event_log
from mailchute.verdicts import Auth, Spam

from .builtin import judge
from .bursts import Bursts
from .checks import Check, Checks
from .feeds import Feed, domain_keys, url_keys
from .links import domains_of
from .reading import Reading
from .reputation import listings_of, start_address_lists, start_domain_lists
from .rspamd import Rspamd
from .rules import SHIPPED, read_rules
from .searches import Searches
from .settings import Settings
from .spam_facts import Hearsay, facts_of

log = event_log("scan")

ANSWER_MARGIN_S = 0.2  # before the deadline, for the built-in engine to take over


class SpamEngine:
    """
    Judges mails; safe from threads.

    Raises:
        BadSetting: The rules, the classifier's model or the bursts' file cannot be used.
    """

    def __init__(self, settings: Settings, pool: ThreadPoolExecutor) -> None:
        self._settings = settings
        self._pool = pool
        self._rules = read_rules(SHIPPED, *([settings.rules_dir] if settings.rules_dir else []))
        self._searches = Searches(rule.when.text for rule in self._rules)
        asked = frozenset().union(*(rule.when.names for rule in self._rules))
        self._asked_fields = frozenset(name for name in asked if name.startswith("header."))
        self._model = load(settings.model_file) if settings.model_file else None
        interval_s = settings.feed_interval_s
        self._disposable = Feed(settings.disposable_feed, interval_s=interval_s, keys_of=domain_keys)
        self._phishing = Feed(settings.phishing_feed, interval_s=interval_s, keys_of=url_keys)
        self._bursts = Bursts(settings.bursts_file)
        self._rspamd = Rspamd(settings.rspamd_url) if settings.rspamd_url else None

    def begin(self, reading: Reading, threshold: float, checks: Checks, deadline: float) -> Judgement:
        """
        Return the judgement of one mail, begun: whoever has to be asked is asked now.

        Args:
            checks: For block lists, which are given less time than the rest.
            deadline: When the verdict must be there, on the monotonic clock.
        """
        verdict: Future[Spam | None] | None = None
        if self._rspamd is not None:
            left_s = deadline - time.monotonic() - ANSWER_MARGIN_S
            verdict = self._pool.submit(self._rspamd.judge, reading.message, threshold, left_s)
        zones = self._settings.uribl
        domains = _linked_domains(reading) if zones else []
        return Judgement(
            engine=self,
            reading=reading,
            threshold=threshold,
            rspamd=verdict,
            deadline=deadline,
            dnsbl=start_address_lists(reading.message.client_ip, self._settings.dnsbl, checks),
            uribl=start_domain_lists(domains, zones, checks),
        )

    def judge(self, reading: Reading, auth: Auth, threshold: float, lists: Hearsay) -> Spam:
        """Return the built-in engine's verdict."""
        facts = facts_of(reading, auth, lists, fields=self._asked_fields)
        return judge(self._rules, self._searches.searched(facts), threshold)

    def hearsay(self, reading: Reading, dnsbl: tuple[str, ...], uribl: tuple[str, ...]) -> Hearsay:
        """Return what lists and classifier say about a mail."""
        message, author = reading.message, reading.message.author
        pages = [keys for url in reading.links.urls if (keys := url_keys(url))] if len(self._phishing) else []
        learned = None
        if self._model is not None:
            learned = probability(self._model, tokens_in(message.header_section, reading.parts))
        return Hearsay(
            dnsbl=tuple(dict.fromkeys((*message.listed_by, *dnsbl))),
            uribl=uribl,
            is_disposable=author.domain is not None and author.domain in self._disposable,
            phishing_count=sum(page in self._phishing for page, _ in pages),
            phishing_host_count=sum(host in self._phishing for _, host in pages),
            burst_count=self._bursts.count(
                author_domain=author.domain or "",
                recipient_domain=message.recipient_domain,
                subject=reading.subject,
                text=reading.text,
            ),
            probability=learned,
        )

    def close(self) -> None:
        """Stop fetching lists."""
        self._disposable.close()
        self._phishing.close()


class Judgement:
    """One mail's spam verdict under way."""

    def __init__(
        self,
        *,
        engine: SpamEngine,
        reading: Reading,
        threshold: float,
        rspamd: Future[Spam | None] | None,
        deadline: float,
        dnsbl: list[Check[str | None]],
        uribl: list[Check[str | None]],
    ) -> None:
        self._engine = engine
        self._reading = reading
        self._threshold = threshold
        self._rspamd = rspamd
        self._deadline = deadline
        self._dnsbl = dnsbl
        self._uribl = uribl

    def verdict(self, auth: Auth) -> Spam:
        """Return the verdict, by the deadline; `engine` says whose it is."""
        if self._rspamd is not None:
            try:
                found = self._rspamd.result(timeout=max(0.0, self._deadline - time.monotonic()))
            except TimeoutError:
                self._rspamd.cancel()
                found = None
            if found is not None:
                return found
        lists = self._engine.hearsay(self._reading, listings_of(self._dnsbl), listings_of(self._uribl))
        return self._engine.judge(self._reading, auth, self._threshold, lists)


def _linked_domains(reading: Reading) -> list[str]:
    try:
        return domains_of(reading.links.hosts)
    except Exception as error:  # noqa: BLE001 - no mail is held up by what a filter cannot read
        log.error("filter-broke", error=error, stage="scan", reason="links")
        return []
