"""Who a forward-path belongs to, whether mail for it may come in, and how its owner stands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from mailchute.alias import AliasSnapshot
from mailchute.attended import OFFICES
from mailchute.envelope import Path
from mailchute.errors import DirectoryUnavailable
from mailchute.standing import Standing

from smtp_ingress.address import is_relay_attempt, path_of
from smtp_ingress.replies import NO_RELAY, NO_SUCH_USER, PROTECTED, Refused

FIND_S = 10.0  # what a client waits for the database before it is told to come again
THREADS = 4
Key = TypeVar("Key")
Answer = TypeVar("Answer")


class Directory(Protocol):
    """mailchute.directory.Directory, as far as it is used here."""

    def cached(self, path: Path) -> AliasSnapshot | None: ...
    def find(self, path: Path) -> AliasSnapshot | None: ...
    def serves(self, domain: str) -> bool: ...
    def cached_standing(self, account_id: str) -> Standing | None: ...
    def standing(self, account_id: str) -> Standing | None: ...
    def unattended(self) -> dict[str, tuple[str, ...]]: ...


class Recipients:
    """
    The aliases of this installation.

    Args:
        hostname: Our own name; <postmaster> without a domain is its postmaster.
        postmaster_alias: The mailbox that takes postmaster@ and abuse@ where no alias does; "", none.
        protected: Local-parts that need an alias of their own: a catch-all does not take them.
    """

    def __init__(
        self, directory: Directory, *, hostname: str, postmaster_alias: str, protected: frozenset[str]
    ) -> None:
        self._directory = directory
        self._hostname = hostname.lower()
        self._postmaster = path_of(postmaster_alias) if postmaster_alias else None
        self._protected = protected
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="directory")

    def path(self, text: str) -> Path:
        """Return the forward-path; <postmaster> alone is ours. Raises: MalformedPath."""
        if text.lower() == "postmaster":
            return Path(text, self._hostname)
        return path_of(text)

    async def resolve(self, path: Path) -> AliasSnapshot:
        """
        Return the alias this mailbox belongs to.

        Raises:
            Refused: It is nobody's (said only after a read made now), or takes no mail.
            DirectoryUnavailable: The database does not answer, and nothing is known.
        """
        alias = self._directory.cached(path)
        if alias is None:
            alias = await self._asked(self._find, path)
        if alias.address.startswith("*@") and not is_office(path):
            if path.local_part.lower() in self._protected:
                raise Refused(PROTECTED)
            if is_relay_attempt(path.local_part):
                raise Refused(NO_RELAY)
        return alias

    async def standing(self, path: Path, alias: AliasSnapshot) -> Standing | None:
        """
        Return how the alias's owner stands.

        Returns:
            None where nothing is known of it, or nothing of it counts: postmaster@ and abuse@ are for
            those who are refused elsewhere (RFC 5321, 4.5.1; RFC 2142, 2).

        Raises:
            DirectoryUnavailable: The database does not answer in time.
        """
        if is_office(path):
            return None
        known = self._directory.cached_standing(alias.account_id)
        return known or await self._asked(self._directory.standing, alias.account_id)

    async def unattended(self) -> dict[str, tuple[str, ...]]:
        """
        Return the domains that nobody takes postmaster@ or abuse@ of, and which of them.

        Raises:
            DirectoryUnavailable: The database does not answer.
        """
        if self._postmaster is not None:
            for_all = await self._asked(self._directory.find, self._postmaster)
            if for_all is not None:
                return {}
        return await self._asked(lambda _: self._directory.unattended(), None)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _asked(self, ask: Callable[[Key], Answer], key: Key) -> Answer:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(FIND_S):
                return await loop.run_in_executor(self._threads, ask, key)
        except TimeoutError as error:
            raise DirectoryUnavailable("no answer in time") from error

    def _find(self, path: Path) -> AliasSnapshot:
        alias = self._directory.find(path)
        if alias is not None:
            return alias
        is_ours = path.domain == self._hostname or self._directory.serves(path.domain)
        if is_ours and self._postmaster is not None and is_office(path):
            alias = self._directory.cached(self._postmaster) or self._directory.find(self._postmaster)
            if alias is None:
                # The operator promised this mailbox, so it is our mistake and not the client's.
                raise DirectoryUnavailable("MAILCHUTE_POSTMASTER_ALIAS names no alias")
            return alias
        raise Refused(NO_SUCH_USER if is_ours else NO_RELAY)


def is_office(path: Path) -> bool:
    """Return whether this mailbox is one that every domain has to have."""
    return path.local_part.lower() in OFFICES
