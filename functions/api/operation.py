"""An operation of the API: one row of a table that routing, checking and the OpenAPI document all read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from mailchute.bucket import Bucket
from mailchute.database import Database
from mailchute.installation import establish
from mailchute.sealing import Keyring, Sealer
from mailchute.settings import S3Settings
from mailchute.signing import PrivateKey
from mailchute.store import audit
from mailchute.store.keys import ApiKey

from .attachments import Attachments
from .calls import Calls
from .commands import Connector
from .rates import Rates
from .runs import Runs

PAGE_MAX_COUNT = 200
Limit = Annotated[int, msgspec.Meta(ge=1, le=PAGE_MAX_COUNT)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


@dataclass(frozen=True, kw_only=True)
class Services:
    """What operations work with."""

    database: Database
    keyring: Keyring
    connector: Connector
    attachments: Attachments
    now: Callable[[], datetime]
    signing_keys: tuple[PrivateKey, ...] = ()  # the installation's: anyone may see their public halves
    rates: Rates = field(default_factory=lambda: Rates(0))
    runs: Runs = field(default_factory=Runs)
    calls: Calls = field(default_factory=Calls)  # of those who listen
    listen_url: str = ""  # MAILCHUTE_LISTEN_URL: where deliver reaches them; "": nobody can listen
    buckets: Callable[[S3Settings], Bucket] = Bucket  # of an account's own: where may it lead?

    def sealer(self, connection: sa.Connection) -> Sealer:
        """Raises SecretUnreadable: the database was begun with another master key."""
        return establish(connection, self.keyring)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One authenticated request, taken apart."""

    services: Services
    key: ApiKey
    now: datetime
    path: dict[str, str]  # the parts of the path in braces
    query: Any  # of the operation's `query`
    body: Any  # of the operation's `body`; text where that is str
    if_match: str | None = None

    @property
    def account_id(self) -> str:
        return self.key.account_id


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing may be asked for."""


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which page."""

    cursor: str | None = None  # nextCursor of the page before
    limit: Limit = 50


@dataclass(frozen=True, kw_only=True)
class Operation:
    """
    One method on one path.

    It either has `work`, or `change`, which is carried out in one transaction: then a request with an
    Idempotency-Key that comes again is answered as the first time.
    """

    method: str
    path: str  # below /api/v1, with {id}
    scope: str
    does: str  # one sentence
    answers: Any  # the type of a 200's body; None: 204 without one
    work: Callable[[Request], Any] | None = None
    change: Callable[[Request, sa.Connection], Any] | None = None
    before: Callable[[Request], None] | None = None  # what takes time, before the transaction begins
    query: Any = NoQuery
    body: Any = None  # None: it takes none; str: a routes file
    example: Any = None  # of a body: a value that is JSON, or a routes file
    fails: tuple[int, ...] = ()  # statuses of its own, besides 400, 401, 403, 429 and 503
    created: str = ""  # "/domains/{id}": 201, and where what was made is found; "": 200
    has_etag: bool = False  # the answer has an ETag
    needs_match: bool = False  # If-Match must be there
    also_answers: str = ""  # a media type besides JSON, for who accepts it

    @property
    def status(self) -> int:
        return 204 if self.answers is None else 201 if self.created else 200


def note(
    connection: sa.Connection,
    request: Request,
    action: str,
    object_id: str,
    *,
    detail: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write an entry of the audit trail: the key did this."""
    audit.note(
        connection,
        account_id=request.account_id,
        now=request.now,
        actor=request.key.id,
        action=action,
        object_id=object_id,
        detail=detail,
        before=before,
        after=after,
    )
