"""Lists a page at a time, and one thing by its id: what most of the operations that only read do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from .cursor import cursor_of, parts_of
from .operation import Request
from .problem import not_found

Lister = Callable[..., Sequence[Any]]  # of connection, account id, after, limit, only


def page(kind: Callable[..., Any], lister: Lister, *filters: str) -> Callable[[Request], Any]:
    """Return the operation that lists a page: each of `filters` is a field of its query."""

    def work(request: Request) -> Any:
        query = request.query
        after = parts_of(query.cursor, 1)
        with request.services.database.read() as connection:
            found = lister(
                connection, request.account_id, after=after[0] if after else "", limit=query.limit + 1,
                **{name: getattr(query, name) for name in filters},
            )  # fmt: skip
        shown = tuple(found[: query.limit])
        return kind(items=shown, next_cursor=cursor_of(shown[-1].id) if len(found) > query.limit else None)

    return work


def one(lister: Lister, part: str) -> Callable[[Request], Any]:
    """Return the operation that shows the one whose id stands in this part of the path."""

    def work(request: Request) -> Any:
        with request.services.database.read() as connection:
            return shown(connection, request, lister, request.path[part])

    return work


def shown(connection: sa.Connection, request: Request, lister: Lister, only: str, **options: Any) -> Any:
    """
    Return the account's thing of this id.

    Raises:
        Problem: 404, there is none.
    """
    found = lister(connection, request.account_id, only=only, **options)
    if not found:
        raise not_found(only)
    return found[0]
