"""One S3 bucket: objects put, read, deleted, and handed out by URLs that end."""

from __future__ import annotations

import io
import ipaddress
import secrets
import socket
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from mailchute.errors import StorageUnavailable
from mailchute.public_addresses import may_be_dialled
from mailchute.settings import Network, S3Settings

AT_ONCE = 1_000  # DeleteObjects takes no more
PART_OCTETS = 8 * 1024 * 1024  # of a multipart upload; S3 asks for at least 5 MiB
URL_LIFE_MAX_S = 604_800  # AWS Signature Version 4 signs a URL for at most seven days
PROBE_OCTETS = 32
NOT_PUBLIC = "its address is not public; an operator can open it with MAILCHUTE_ALLOW_PRIVATE"


class Bucket:
    """
    A bucket of the installation's, or of an account's; the client is made when it is first needed.

    Args:
        allowed: Whose address an account may name is public, or in one of these networks; None: the
            address is the operator's own, and any will do.
    """

    def __init__(self, settings: S3Settings, *, allowed: tuple[Network, ...] | None = None) -> None:
        self.settings = settings
        self._allowed = allowed

    def create(self) -> None:
        """
        Create the bucket unless it is there.

        Raises:
            StorageUnavailable: S3 does not answer, or refuses.
        """
        try:
            self._client.head_bucket(Bucket=self.settings.bucket)
        except self._errors as error:
            if _status_of(error) != 404:
                raise StorageUnavailable(_told(error)) from error
            try:
                self._client.create_bucket(Bucket=self.settings.bucket)
            except self._client.exceptions.BucketAlreadyOwnedByYou:
                pass
            except self._errors as refusal:
                raise StorageUnavailable(_told(refusal)) from refusal

    def put(self, name: str, octets: bytes, **described: Any) -> None:
        """
        Store an object; put twice, it is the same object.

        Args:
            described: As boto3's ExtraArgs: ContentType, ContentDisposition, Metadata.

        Raises:
            StorageUnavailable: S3 does not answer, or refuses.
        """
        from boto3.s3.transfer import TransferConfig  # noqa: PLC0415 - as in _client

        transfer = TransferConfig(
            multipart_threshold=PART_OCTETS, multipart_chunksize=PART_OCTETS, use_threads=False
        )
        try:
            self._client.upload_fileobj(
                io.BytesIO(octets), self.settings.bucket, name, ExtraArgs=described, Config=transfer
            )
        except self._errors as error:
            raise StorageUnavailable(_told(error)) from error

    def read(self, name: str) -> bytes:
        """Return an object's octets. Raises: as put."""
        try:
            octets: bytes = self._client.get_object(Bucket=self.settings.bucket, Key=name)["Body"].read()
        except self._errors as error:
            raise StorageUnavailable(_told(error)) from error
        return octets

    def has(self, name: str) -> bool:
        """Return whether the object is there. Raises: as put."""
        try:
            self._client.head_object(Bucket=self.settings.bucket, Key=name)
        except self._errors as error:
            if _status_of(error) == 404:
                return False
            raise StorageUnavailable(_told(error)) from error
        return True

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield the names of the objects there. Raises: as put."""
        try:
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.settings.bucket, Prefix=prefix):
                yield from (one["Key"] for one in page.get("Contents", ()))
        except self._errors as error:
            if _status_of(error) != 404:  # no bucket yet: nothing in it
                raise StorageUnavailable(_told(error)) from error

    def delete(self, names: Sequence[str]) -> frozenset[str]:
        """Delete these objects, gone already or not; return those that could not be deleted now."""
        if not self.settings.bucket:
            return frozenset(names)
        left: set[str] = set()
        for begin in range(0, len(names), AT_ONCE):
            page = names[begin : begin + AT_ONCE]
            wanted = {"Objects": [{"Key": name} for name in page], "Quiet": True}
            try:
                answer = self._client.delete_objects(Bucket=self.settings.bucket, Delete=wanted)
            except self._errors:
                left.update(page)
            else:
                errors = answer.get("Errors", ())
                left.update(error["Key"] for error in errors if error.get("Code") != "NoSuchKey")
        return frozenset(left)

    def url_of(self, name: str, life_s: int = URL_LIFE_MAX_S) -> str:
        """Return a URL that downloads the object for so long; it is signed here, S3 is not asked."""
        url: str = self._client.generate_presigned_url(
            "get_object", Params={"Bucket": self.settings.bucket, "Key": name}, ExpiresIn=life_s
        )
        return url

    def probe(self) -> None:
        """
        Write an object, read it back and delete it.

        Raises:
            StorageUnavailable: It says which of them did not work, and why.
        """
        name, octets = f"mailchute-probe/{secrets.token_hex(8)}", secrets.token_bytes(PROBE_OCTETS)
        doing = "write"
        try:
            self.put(name, octets)
            doing = "read"
            if self.read(name) != octets:
                raise StorageUnavailable("another object came back")
        except StorageUnavailable as error:
            self.delete([name])
            raise StorageUnavailable(f"cannot {doing} an object: {error}") from error
        if self.delete([name]):
            raise StorageUnavailable("cannot delete an object: what mail leaves there could not be removed")

    @cached_property
    def _errors(self) -> tuple[type[Exception], ...]:
        from boto3.exceptions import Boto3Error  # noqa: PLC0415 - as in _client
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        return BotoCoreError, ClientError, Boto3Error, OSError

    @cached_property
    def _client(self) -> Any:
        # Half a second of imports: a start waits for us, and most mail has nothing on S3.
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        settings = self.settings
        client = boto3.client(
            "s3",
            endpoint_url=settings.endpoint or None,
            aws_access_key_id=settings.access_key or None,
            aws_secret_access_key=settings.secret_key or None,
            region_name=settings.region,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path" if settings.endpoint else "auto"},
                connect_timeout=3,
                read_timeout=15,
                retries={"total_max_attempts": 2, "mode": "standard"},
                max_pool_connections=32,
                proxies=None if self._allowed is None else {},  # one would dial what we have not looked at
            ),
        )
        if self._allowed is not None:
            _guard(client, self._allowed)
        return client


def _guard(client: Any, allowed: tuple[Network, ...]) -> None:
    """Let the client dial no address but one that was looked at, whatever a name says a moment later."""
    from botocore.awsrequest import AWSHTTPConnectionPool, AWSHTTPSConnectionPool  # noqa: PLC0415 - as above

    pools = {}
    for scheme, pool in (("http", AWSHTTPConnectionPool), ("https", AWSHTTPSConnectionPool)):
        dialling = type("Guarded", (_Guarded, pool.ConnectionCls), {"allowed": allowed})
        pools[scheme] = type(pool.__name__, (pool,), {"ConnectionCls": dialling})
    # botocore has no public way to say how it dials; tests/unit/shared/test_bucket.py sees that it heeds us.
    client._endpoint.http_session._manager.pool_classes_by_scheme = pools


class _Guarded:
    """A connection of urllib3's that looks at each address of the name, and dials one it has looked at."""

    allowed: tuple[Network, ...] = ()
    port: int
    _dns_host: str

    def _new_conn(self) -> socket.socket:
        from urllib3.exceptions import NewConnectionError  # noqa: PLC0415 - as in _client

        name = self._dns_host
        try:
            found = socket.getaddrinfo(name.strip("[]"), self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise NewConnectionError(self, f"no address: {error}") from error  # type: ignore[arg-type]
        addresses = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
        if not all(may_be_dialled(address, self.allowed) for address in addresses):
            raise NewConnectionError(self, NOT_PUBLIC)  # type: ignore[arg-type]
        self._dns_host = str(addresses[0])
        try:
            dialled: socket.socket = super()._new_conn()  # type: ignore[misc]
        finally:
            self._dns_host = name  # TLS asks for the name
        return dialled


def _status_of(error: Exception) -> int | None:
    response: Any = getattr(error, "response", {})
    status: int | None = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status


def _told(error: BaseException) -> str:
    """Return what is wrong without what was sent: no key, no name."""
    response: Any = getattr(error, "response", None)
    if response is not None:
        return f"S3 answered {response.get('Error', {}).get('Code', 'an error')}"
    if NOT_PUBLIC in str(getattr(error, "kwargs", {}).get("error", error)):  # what botocore wraps
        return NOT_PUBLIC
    return f"S3 is away: {type(error).__name__}"
