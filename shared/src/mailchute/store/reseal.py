"""After a new master key: seal every secret with it, so that the former can be taken off the ring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa

from mailchute.database import Database
from mailchute.installation import establish
from mailchute.sealing import Keyring, Place, Sealer
from mailchute.tables import domain, endpoint, kept_answer, storage_connection

SEALED = {
    endpoint: ("secret", "previous_secret", "headers", "basic_auth", "signing_key", "client_certificate"),
    storage_connection: ("access_key", "secret_key"),
    kept_answer: ("body",),
    domain: ("dkim_key",),
}
ROWS_AT_ONCE = 500


def row_count(database: Database) -> int:
    """Return how many rows `reseal` will look at."""
    with database.read() as connection:
        return sum(connection.scalar(sa.select(sa.func.count()).select_from(one)) or 0 for one in SEALED)


def reseal(
    database: Database, keyring: Keyring, *, progress: Callable[[int], object] = lambda _rows: None
) -> int:
    """
    Return how many secrets were sealed anew with the newest key; 0 when every one is.

    Killed in between, it is called again. A secret that changes meanwhile is left as it became.

    Args:
        progress: Told how many rows were looked at, after each transaction.

    Raises:
        SecretUnreadable: A secret opens with no key of the ring; those before it are done.
        DatabaseUnavailable: It does not answer.
    """
    count = 0
    for table in SEALED:
        after = ""
        while True:
            with database.write() as connection:
                sealer = establish(connection, keyring)
                rows = connection.execute(
                    sa.select(table).where(table.c.id > after).order_by(table.c.id).limit(ROWS_AT_ONCE)
                ).all()
                for row in rows:
                    count += sum(
                        _reseal(connection, table, row, column, sealer)
                        for column in _stale(table, row, sealer)
                    )
            if not rows:
                break
            progress(len(rows))
            after = rows[-1].id
    return count


def _stale(table: sa.Table, row: Any, sealer: Sealer) -> Iterator[str]:
    for column in SEALED[table]:
        sealed = getattr(row, column)
        if sealed and not sealer.is_newest(bytes(sealed)):
            yield column


def _reseal(connection: sa.Connection, table: sa.Table, row: Any, column: str, sealer: Sealer) -> int:
    place = Place(table=table.name, column=column, row_id=row.id, account_id=row.account_id)
    former = bytes(getattr(row, column))
    changed = connection.execute(
        sa.update(table)
        .where(table.c.id == row.id, table.c[column] == former)
        .values({column: sealer.seal(sealer.open(former, place), place)})
    )
    return changed.rowcount
