"""
Lists fetched by URL: kept whole, swapped whole, and never waited for.

None is shipped or set by default; whoever sets one answers for its terms:
  disposable-email-domains (github.com/disposable-email-domains): CC0, free for any use;
  OpenPhish community feed (openphish.com/terms.html): no commercial use without written permission;
  PhishTank (phishtank.org/terms.php): free with attribution, keyed downloads.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import urllib3
from mailchute.eventlog import event_log

FEED_MAX_OCTETS = 32 * 1024 * 1024
TIMEOUT_S = 30.0

log = event_log("scan")


@dataclass(frozen=True)
class _Held:
    keys: frozenset[str] = frozenset()
    etag: str | None = None


class Feed:
    """
    A list of domains or URLs, one a line, fetched in the background.

    Until the first fetch succeeds it is empty; when a fetch fails, what is held stays.

    Args:
        url: "" is a feed that stays empty.
        interval_s: Between fetches, ±10 %, so that not all hosts come at once.
        keys_of: Makes of a line what is looked up; nothing leaves it out.
    """

    def __init__(self, url: str, *, interval_s: float, keys_of: Callable[[str], tuple[str, ...]]) -> None:
        self._url = url
        self._interval_s = interval_s
        self._keys_of = keys_of
        self._held = _Held()
        self._ended = threading.Event()
        self._pool = urllib3.PoolManager(retries=urllib3.Retry(0, redirect=3))
        if url:
            threading.Thread(target=self._keep_fresh, name="feed", daemon=True).start()

    def __contains__(self, item: str) -> bool:
        return item in self._held.keys

    def __len__(self) -> int:
        return len(self._held.keys)

    def close(self) -> None:
        self._ended.set()

    def fetch(self) -> bool:
        """Fetch now; say whether a new list was taken."""
        headers = {"If-None-Match": self._held.etag} if self._held.etag else {}
        try:
            response = self._pool.request(
                "GET", self._url, headers=headers, timeout=TIMEOUT_S, preload_content=False
            )
            with response:
                if response.status == 304:
                    return False
                body = response.read(FEED_MAX_OCTETS + 1)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            log.warning("feed-unavailable", reason=type(error).__name__, status=None)
            return False
        if response.status != 200 or len(body) > FEED_MAX_OCTETS:
            log.warning("feed-unavailable", reason="answer", status=response.status)
            return False
        lines = body.decode("utf-8", "replace").splitlines()
        held = frozenset(key for line in lines for key in self._keys_of(line.strip()))
        if not held:  # an empty list is an outage at its owner's, not the end of phishing
            log.warning("feed-unavailable", reason="empty", status=response.status)
            return False
        self._held = _Held(held, response.headers.get("ETag"))
        log.info("feed-taken", count=len(held))
        return True

    def _keep_fresh(self) -> None:
        while True:
            self.fetch()
            if self._ended.wait(self._interval_s * random.uniform(0.9, 1.1)):  # noqa: S311 - spreads load
                return


def domain_keys(line: str) -> tuple[str, ...]:
    """Return the domain that a line of a domain list names."""
    return () if not line or line.startswith(("#", "//", ";")) else (line.lower().rstrip("."),)


def url_keys(line: str) -> tuple[str, ...]:
    """Return the page that a URL leads to, whatever its scheme and fragment, and the host it is on."""
    try:
        parts = urlsplit(line)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return ()
    if parts.scheme.lower() not in ("http", "https") or not host:
        return ()
    shown_port = "" if port in (None, 80, 443) else f":{port}"
    query = f"?{parts.query}" if parts.query else ""
    return f"{host}{shown_port}{parts.path or '/'}{query}", host
