"""The installation: its id and salt, and the check that the master key is the one it began with."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from mailchute.errors import DatabaseUnavailable, SecretUnreadable
from mailchute.sealing import Keyring, Place, Sealer
from mailchute.tables import meta

_CHECK = "mailchute"
_CHECK_PLACE = Place(table="meta", column="value", row_id="key_check")


def open_sealer(connection: sa.Connection, keyring: Keyring) -> Sealer:
    """
    Return the sealer of this installation.

    Raises:
        SecretUnreadable: The database was begun with another master key: nothing would open.
    """
    values = _values(connection)
    sealer = _sealer_of(values, keyring)
    if "key_check" in values:
        _check(values["key_check"], sealer)
    return sealer


def establish(connection: sa.Connection, keyring: Keyring) -> Sealer:
    """
    Return the sealer, after setting the key check where there is none yet, or bringing it to the newest key.

    Raises:
        SecretUnreadable: As open_sealer.
    """
    sealer = open_sealer(connection, keyring)
    known = _values(connection).get("key_check")
    if known is None:
        sealed = sealer.seal(_CHECK, _CHECK_PLACE).hex()
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        # Of several that find none at once, one sets it.
        connection.execute(insert(meta).values(name="key_check", value=sealed).on_conflict_do_nothing())
    elif not sealer.is_newest(bytes.fromhex(known)):
        sealed = sealer.seal(_CHECK, _CHECK_PLACE).hex()
        connection.execute(sa.update(meta).where(meta.c.name == "key_check").values(value=sealed))
    return sealer


def _values(connection: sa.Connection) -> dict[str, str]:
    return {row.name: row.value for row in connection.execute(sa.select(meta))}


def _sealer_of(values: dict[str, str], keyring: Keyring) -> Sealer:
    if not values.keys() >= {"installation_id", "salt"}:
        raise DatabaseUnavailable("the database has no salt: it is not migrated")
    return Sealer(keyring, installation_id=values["installation_id"], salt=bytes.fromhex(values["salt"]))


def _check(sealed: str, sealer: Sealer) -> None:
    try:
        opened = sealer.open(bytes.fromhex(sealed), _CHECK_PLACE)
    except (SecretUnreadable, ValueError):
        opened = ""
    if opened != _CHECK:
        raise SecretUnreadable(
            "this database was begun with another master key: give the one it was begun with "
            "in MAILCHUTE_MASTER_KEY_FILE"
        )
