"""Operations on domains, aliases and endpoints all at once, as a routes file."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from mailchute.errors import BadSetting
from mailchute.installation import establish
from mailchute.routes.file import parse_routes
from mailchute.store import routing
from mailchute.store.wanted import Change

from .operation import Operation, Request
from .problem import Mistake, Problem

_LINE = re.compile(r"[^:]*:(\d+): (.*)")


class RoutesQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How a routes file is applied."""

    prune: bool = False  # take away what the API made as well


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What differed; an endpoint's secret where it was made now."""

    changes: tuple[Change, ...]


def _apply(*, is_kept: bool) -> Any:
    def work(request: Request) -> Changes:
        try:
            wanted = parse_routes(request.body)
            with (
                request.services.database.write() as connection,
                routing.trial(connection, is_kept=is_kept),
            ):
                changes = routing.apply(
                    connection, wanted, account_id=request.account_id, now=request.now,
                    sealer=establish(connection, request.services.keyring), actor=request.key.id,
                    prune=request.query.prune,
                )  # fmt: skip
        except BadSetting as error:
            raise Problem(422, "the routes cannot be used", mistakes=_mistakes_of(str(error))) from None
        if not is_kept:
            changes = tuple(msgspec.structs.replace(change, secret=None) for change in changes)
        return Changes(changes=changes)

    return work


def _mistakes_of(text: str) -> tuple[Mistake, ...]:
    found = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        found.append(Mistake(line=int(match[1]), text=match[2]) if match else Mistake(line=None, text=line))
    return tuple(found)


READ, WRITE = "routes:read", "routes:write"
EXAMPLE = "version: 1\ndomains:\n  inbox.example:\n    support: https://api.example/mail\n"
OPERATIONS = (
    Operation(
        method="PUT", path="/routes", scope=WRITE, answers=Changes, body=str, example=EXAMPLE,
        does="Make domains, aliases and endpoints those of a routes file.", work=_apply(is_kept=True),
        query=RoutesQuery, fails=(422,),
    ),
    Operation(
        method="POST", path="/routes/plan", scope=READ, answers=Changes, body=str, example=EXAMPLE,
        does="Tell what a routes file would change, and change nothing.", work=_apply(is_kept=False),
        query=RoutesQuery, fails=(422,),
    ),
)  # fmt: skip
