"""
Whose mail is this, what does its owner want, and where does it go: reads of the control plane, cached.

An answer is fresh for 10 s. While the database is away, answers up to an hour old (endpoints: any age)
go on serving; "no such alias" is only ever said after a read made now.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Generic, TypeVar

import msgspec
import sqlalchemy as sa

from mailchute import lookup
from mailchute.alias import AliasSnapshot
from mailchute.attended import unattended
from mailchute.database import Database
from mailchute.endpoint import Endpoint
from mailchute.envelope import Path
from mailchute.errors import DatabaseUnavailable, DirectoryUnavailable, SecretUnreadable
from mailchute.installation import open_sealer
from mailchute.sealed_endpoint import endpoint_of
from mailchute.sealing import Keyring, Sealer
from mailchute.settings import S3Settings
from mailchute.standing import Standing, standing_of
from mailchute.storage_connection import connection_of

FRESH_S = 10.0
STALE_S = 3_600.0  # how old an alias may be while the database is away
AWAY_S = 1.0  # after a read failed, how long the database is not asked again
ENTRIES = 20_000  # of each cache; a catch-all makes one per local-part that anyone invents

Key = TypeVar("Key")
Value = TypeVar("Value")
Answer = TypeVar("Answer")


class Directory:
    """
    Answers from the database, safe to share between threads.

    Args:
        database_url: As mailchute.database.Database takes it.
        keyring: Opens the endpoints' secrets; None where only aliases are looked up.
        clock: Seconds, monotonic.
        now: The time of day, UTC.
    """

    def __init__(
        self,
        database_url: str,
        *,
        keyring: Keyring | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = Database(database_url)
        self._keyring = keyring
        self._clock = clock
        self._now = now
        self._aliases: _Cache[Path, AliasSnapshot] = _Cache(clock)
        self._endpoints: _Cache[str, Endpoint] = _Cache(clock)
        self._domains: _Cache[str, bool] = _Cache(clock)
        self._connections: _Cache[str, S3Settings] = _Cache(clock)
        self._standings: _Cache[str, Standing] = _Cache(clock)
        self._sealer: Sealer | None = None
        self._away_until = float("-inf")

    def cached(self, path: Path) -> AliasSnapshot | None:
        """Return a positive answer not older than 10 s, without any I/O; else None."""
        return self._aliases.get(path, FRESH_S)

    def find(self, path: Path) -> AliasSnapshot | None:
        """
        Return the alias this mailbox belongs to: exact, plus-tag, pattern by priority, catch-all.

        Returns:
            None only from a read made now: the mailbox is nobody's.

        Raises:
            DirectoryUnavailable: The database is away and no answer under an hour old is known.
        """
        known = self._aliases.get(path, FRESH_S)
        if known is not None:
            return known
        try:
            found = self._read(lambda connection: lookup.alias_of(connection, path))
        except DatabaseUnavailable as error:
            known = self._aliases.get(path, STALE_S)
            if known is None:
                raise DirectoryUnavailable(str(error)) from error
            return known
        self._aliases.put(path, found)
        return found

    def cached_standing(self, account_id: str) -> Standing | None:
        """Return an answer not older than 10 s, without any I/O; else None."""
        return self._standings.get(account_id, FRESH_S)

    def standing(self, account_id: str) -> Standing | None:
        """
        Return how the account stands.

        Returns:
            None when the database is away and nothing is known. What is known from before comes with
            `is_fresh` False: nobody may be refused for good because of it.
        """
        known = self._standings.get(account_id, FRESH_S)
        if known is not None:
            return known
        try:
            found = self._read(lambda connection: standing_of(connection, account_id, self._now()))
        except DatabaseUnavailable:
            known = self._standings.get(account_id, STALE_S)
            return None if known is None else msgspec.structs.replace(known, is_fresh=False)
        self._standings.put(account_id, found)
        return found

    def endpoint(self, endpoint_id: str) -> Endpoint | None:
        """
        Return the endpoint with its secrets opened; one deleted or disabled says so itself.

        Raises:
            DirectoryUnavailable: The database is away and no answer is known.
            SecretUnreadable: The master key is another, or the row was tampered with.
        """
        known = self._endpoints.get(endpoint_id, FRESH_S)
        # One that takes no mail is asked about each time: enabled or verified, it is to get it at once.
        if known is not None and not (known.is_disabled or known.is_deleted or known.is_unverified):
            return known
        try:
            found = self._read(
                lambda connection: endpoint_of(connection, endpoint_id, self._opened(connection), self._now())
            )
        except DatabaseUnavailable as error:
            known = self._endpoints.get(endpoint_id, float("inf"))
            if known is None:
                raise DirectoryUnavailable(str(error)) from error
            return known
        self._endpoints.put(endpoint_id, found)
        return found

    def connection(self, connection_id: str) -> S3Settings | None:
        """
        Return an account's own bucket with its keys opened; None when it was taken away.

        Raises:
            DirectoryUnavailable: The database is away and no answer is known.
            SecretUnreadable: The master key is another, or the row was tampered with.
        """
        known = self._connections.get(connection_id, FRESH_S)
        if known is not None:
            return known
        try:
            found = self._read(
                lambda connection: connection_of(connection, connection_id, self._opened(connection))
            )
        except DatabaseUnavailable as error:
            known = self._connections.get(connection_id, float("inf"))
            if known is None:
                raise DirectoryUnavailable(str(error)) from error
            return known
        self._connections.put(connection_id, found)
        return found

    def serves(self, domain: str) -> bool:
        """
        Return whether any alias of ours has this domain.

        Raises:
            DirectoryUnavailable: As find.
        """
        if self._domains.get(domain, FRESH_S):
            return True
        try:
            found = self._read(lambda connection: lookup.serves(connection, domain))
        except DatabaseUnavailable as error:
            if self._domains.get(domain, STALE_S):
                return True
            raise DirectoryUnavailable(str(error)) from error
        self._domains.put(domain, True if found else None)
        return found

    def unattended(self) -> dict[str, tuple[str, ...]]:
        """
        Return the domains that have aliases and nobody behind postmaster@ or abuse@, and which is missing.

        Raises:
            DirectoryUnavailable: The database is away.
        """
        try:
            return self._read(unattended)
        except DatabaseUnavailable as error:
            raise DirectoryUnavailable(str(error)) from error

    def close(self) -> None:
        self._database.close()

    def _read(self, ask: Callable[[sa.Connection], Answer]) -> Answer:
        if self._clock() < self._away_until:
            # Each caller waiting for its own time-out would pile up sessions and threads.
            raise DatabaseUnavailable("the database did not answer a moment ago")
        try:
            with self._database.read() as connection:
                return ask(connection)
        except DatabaseUnavailable:
            self._away_until = self._clock() + AWAY_S
            raise

    def _opened(self, connection: sa.Connection) -> Sealer:
        if self._keyring is None:
            raise SecretUnreadable("no master key is given: set MAILCHUTE_MASTER_KEY_FILE")
        if self._sealer is None:
            self._sealer = open_sealer(connection, self._keyring)
        return self._sealer


class _Cache(Generic[Key, Value]):
    """The latest positive answers and when each was read; the least recently used goes first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[Key, tuple[Value, float]] = OrderedDict()

    def get(self, key: Key, oldest_s: float) -> Value | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or self._clock() - entry[1] > oldest_s:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: Key, value: Value | None) -> None:
        """Remember the value as read now; None forgets what was known."""
        with self._lock:
            self._entries.pop(key, None)
            if value is not None:
                self._entries[key] = (value, self._clock())
                if len(self._entries) > ENTRIES:
                    self._entries.popitem(last=False)
