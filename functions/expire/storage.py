"""Attachments on S3, as far as expire touches them: they go, from whichever bucket they lie in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailchute.bucket import Bucket
from mailchute.database import Database
from mailchute.errors import SecretUnreadable
from mailchute.eventlog import event_log
from mailchute.installation import open_sealer
from mailchute.sealing import Keyring
from mailchute.settings import Network, S3Settings
from mailchute.storage_connection import connection_of
from mailchute.stored_key import by_connection, key_in

log = event_log("expire")


class S3Storage:
    """
    The buckets that attachments lie in.

    Args:
        opened: Returns an account's own bucket by the id of its connection; None: it was taken away, which
            is refused while attachments that are kept lie there.
    """

    def __init__(
        self,
        settings: S3Settings,
        *,
        opened: Callable[[str], S3Settings | None] = lambda _connection_id: None,
        allowed: tuple[Network, ...] = (),
    ) -> None:
        self._ours = Bucket(settings)
        self._opened = opened
        self._allowed = allowed

    def delete(self, keys: Sequence[str]) -> frozenset[str]:
        """
        Delete these objects, gone already or not; return those that could not be deleted now.

        Raises:
            DatabaseUnavailable: It does not say which buckets accounts have.
        """
        left: set[str] = set()
        for connection_id, names in by_connection(keys).items():
            left.update(key_in(connection_id, name) for name in self._delete(connection_id, names))
        return frozenset(left)

    def _delete(self, connection_id: str | None, names: list[str]) -> frozenset[str]:
        if connection_id is None:
            return self._ours.delete(names)
        try:
            settings = self._opened(connection_id)
        except SecretUnreadable as error:
            log.error("secret-unreadable", stage="expire", reason=str(error))
            return frozenset(names)
        return frozenset() if settings is None else Bucket(settings, allowed=self._allowed).delete(names)


def opened_by(database: Database, keyring: Keyring | None) -> Callable[[str], S3Settings | None]:
    """Return what opens accounts' own buckets with this keyring; without one they stay closed."""

    def opened(connection_id: str) -> S3Settings | None:
        if keyring is None:
            raise SecretUnreadable("an account has a bucket of its own: set MAILCHUTE_MASTER_KEY_FILE")
        with database.read() as connection:
            return connection_of(connection, connection_id, open_sealer(connection, keyring))

    return opened
