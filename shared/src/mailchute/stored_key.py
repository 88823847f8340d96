"""
How the log names an attachment on S3.

Its key is `<mail>/<number>` in the installation's bucket, and `<connection>/<mail>/<number>` in an
account's own; the object there is called `<mail>/<number>` as well.
"""

from __future__ import annotations

from collections.abc import Iterable

_PREFIX = "sto_"


def key_in(connection_id: str | None, object_name: str) -> str:
    """Return how the log names this object; None is the installation's bucket."""
    return object_name if connection_id is None else f"{connection_id}/{object_name}"


def parted(key: str) -> tuple[str | None, str]:
    """Return the connection (None: the installation's bucket) and the object's name there."""
    connection_id, slash, object_name = key.partition("/")
    return (connection_id, object_name) if slash and key.startswith(_PREFIX) else (None, key)


def by_connection(keys: Iterable[str]) -> dict[str | None, list[str]]:
    """Return the objects' names by the connection they lie behind."""
    found: dict[str | None, list[str]] = {}
    for key in keys:
        connection_id, object_name = parted(key)
        found.setdefault(connection_id, []).append(object_name)
    return found
