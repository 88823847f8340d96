"""Operations on storage connections: an account's own S3 buckets, probed before they are trusted."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated

import msgspec
import sqlalchemy as sa
from mailchute.errors import StorageUnavailable
from mailchute.routes.values import check_url
from mailchute.settings import S3Settings
from mailchute.storage_connection import connection_of
from mailchute.store.connections import (
    ConnectionView,
    change_connection,
    create_connection,
    list_connections,
    lock_connection,
    remove_connection,
)
from mailchute.store.plans import check_permission

from .editions import check_unchanged
from .fields import Name, checked, given
from .listing import one, page, shown
from .operation import Operation, PageQuery, Request, note
from .problem import Problem, not_found

Unset = msgspec.UnsetType
Address = Annotated[str, msgspec.Meta(max_length=2_000)]
Bucket = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
Region = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,40}$")]
AccessKey = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
SecretKey = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class Connections(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of storage connections, the oldest first."""

    items: tuple[ConnectionView, ...]
    next_cursor: str | None


class NewConnection(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A bucket for attachments; its keys are kept sealed and never shown again."""

    name: Name
    endpoint: Address = ""  # "" is AWS's own
    bucket: Bucket
    region: Region = "us-east-1"
    access_key: AccessKey
    secret_key: SecretKey


class ConnectionEdit(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is to be changed; a bucket is never: make another connection."""

    name: Name | Unset = msgspec.UNSET
    access_key: AccessKey | Unset = msgspec.UNSET
    secret_key: SecretKey | Unset = msgspec.UNSET


class Probed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An object was written, read and deleted."""

    id: str
    duration_s: float


def _probe_new(request: Request) -> None:
    body: NewConnection = request.body
    if body.endpoint:
        checked("endpoint", check_url, body.endpoint)
    with request.services.database.read() as connection:
        _check_plan(request, connection)
    _probe(request, _settings_of(body))


def _create(request: Request, connection: sa.Connection) -> ConnectionView:
    _check_plan(request, connection)
    body: NewConnection = request.body
    connection_id = create_connection(
        connection, account_id=request.account_id, columns=given(body, *body.__struct_fields__),
        sealer=request.services.sealer(connection), now=request.now,
    )  # fmt: skip
    note(connection, request, "storage.add", connection_id, detail=f"{body.name} ({body.bucket})")
    found: ConnectionView = shown(connection, request, list_connections, connection_id)
    return found


def _probe_edited(request: Request) -> None:
    keys = given(request.body, "access_key", "secret_key")
    if keys:
        _probe(request, replace(_opened(request), **keys))


def _edit(request: Request, connection: sa.Connection) -> ConnectionView:
    known = _locked(request, connection)
    check_unchanged(request, known)
    columns = given(request.body, "name", "access_key", "secret_key")
    change_connection(
        connection, account_id=request.account_id, connection_id=known.id, columns=columns,
        sealer=request.services.sealer(connection),
    )  # fmt: skip
    if columns:
        note(connection, request, "storage.change", known.id, detail=f"{known.name} ({', '.join(columns)})")
    return _locked(request, connection)


def _remove(request: Request, connection: sa.Connection) -> None:
    known = _locked(request, connection)
    check_unchanged(request, known, is_needed=False)
    remove_connection(connection, account_id=request.account_id, connection_id=known.id, now=request.now)
    note(connection, request, "storage.remove", known.id, detail=known.name)


def _probe_known(request: Request) -> Probed:
    begun_s = time.monotonic()
    _probe(request, _opened(request))
    return Probed(id=request.path["connectionId"], duration_s=round(time.monotonic() - begun_s, 3))


def _probe(request: Request, settings: S3Settings) -> None:
    try:
        request.services.buckets(settings).probe()
    except StorageUnavailable as error:
        raise Problem(422, f"the bucket cannot be used: {error}") from None


def _opened(request: Request) -> S3Settings:
    connection_id = request.path["connectionId"]
    with request.services.database.write() as connection:
        shown(connection, request, list_connections, connection_id)
        found = connection_of(connection, connection_id, request.services.sealer(connection))
    assert found is not None, "it was shown a moment ago, in the same transaction"
    return found


def _settings_of(body: NewConnection) -> S3Settings:
    return S3Settings(
        endpoint=body.endpoint, bucket=body.bucket, region=body.region, access_key=body.access_key,
        secret_key=body.secret_key,
    )  # fmt: skip


def _check_plan(request: Request, connection: sa.Connection) -> None:
    check_permission(connection, request.account_id, "storage.s3")


def _locked(request: Request, connection: sa.Connection) -> ConnectionView:
    connection_id = request.path["connectionId"]
    if not lock_connection(connection, request.account_id, connection_id):
        raise not_found(connection_id)
    found: ConnectionView = shown(connection, request, list_connections, connection_id)
    return found


READ, WRITE = "account:read", "account:write"
ONE = "/storage/{connectionId}"
EXAMPLE = {
    "name": "ours", "endpoint": "https://s3.fr-par.scw.cloud", "bucket": "mail", "region": "fr-par",
    "accessKey": "…", "secretKey": "…",
}  # fmt: skip
OPERATIONS = (
    Operation(
        method="GET", path="/storage", scope=READ, does="List storage connections, never their keys.",
        answers=Connections, query=PageQuery, work=page(Connections, list_connections),
    ),
    Operation(
        method="POST", path="/storage", scope=WRITE, answers=ConnectionView, body=NewConnection,
        example=EXAMPLE, before=_probe_new, change=_create, created=ONE.replace("connectionId", "id"),
        does="Make a storage connection, once an object could be written, read and deleted there.",
        has_etag=True, fails=(422,),
    ),
    Operation(
        method="GET", path=ONE, scope=READ, does="Show one storage connection.", answers=ConnectionView,
        work=one(list_connections, "connectionId"), has_etag=True, fails=(404,),
    ),
    Operation(
        method="PATCH", path=ONE, scope=WRITE, does="Change a storage connection's name or keys.",
        answers=ConnectionView, body=ConnectionEdit, example={"name": "archive"}, before=_probe_edited,
        change=_edit, has_etag=True, needs_match=True, fails=(404, 412, 422, 428),
    ),
    Operation(
        method="DELETE", path=ONE, scope=WRITE, answers=None, change=_remove, fails=(404, 409, 412),
        does="Take a storage connection away, unless something needs it.",
    ),
    Operation(
        method="POST", path=f"{ONE}/probe", scope=WRITE, answers=Probed, work=_probe_known,
        does="Write, read and delete an object there.", fails=(404, 422),
    ),
)  # fmt: skip
