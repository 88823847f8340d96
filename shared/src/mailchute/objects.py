"""
The Object Store: octets that are too many for a stream message, in chunks.

The layout is that of ADR-20, so that `nats object` reads it: chunks on $O.<bucket>.C.<nuid>, then a
description on $O.<bucket>.M.<name>, whose receipt makes the object exist. Linear, a window in memory.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
from collections import deque
from datetime import UTC, datetime
from typing import Self

import msgspec
from nats.aio.client import Client

from mailchute.errors import ContentMissing, ContentUnavailable, MailchuteError, StreamUnavailable
from mailchute.ids import new_id
from mailchute.jetstream import Publisher
from mailchute.mail import ContentRef
from mailchute.receipt import TIMEOUT_S, Begun
from mailchute.stored import purge, read_run, read_stored
from mailchute.subjects import CONTENT_BUCKET

CHUNK_OCTETS = 128 * 1024  # ADR-20, "Default chunk size"
WINDOW = 8  # chunks on their way at once: 1 MiB held per writer
ABORT_S = 5.0  # a client waits meanwhile to hear that its mail was not taken
READ_CHUNKS = 64  # chunks asked for at once, 8 MiB: far below the server's max_pending


class Description(msgspec.Struct):
    """What makes an object exist, as far as it is read here."""

    nuid: str
    size: int
    digest: str


class ObjectWriter:
    """
    Writes one object; until `commit` returns it does not exist.

    Args:
        name: Its name, unique to one event. Written again, the new content takes the old one's place.
        window: Chunks on their way at once; so many times CHUNK_OCTETS are held.
        timeout_s: For the receipt of each chunk, and of the description.
    """

    def __init__(
        self,
        publisher: Publisher,
        name: str,
        *,
        bucket: str = CONTENT_BUCKET,
        window: int = WINDOW,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._publisher = publisher
        self._name = name
        self._bucket = bucket
        self._window = window
        self._timeout_s = timeout_s
        self._nuid = new_id("evt")
        self._chunks_subject = chunks_subject_of(bucket, self._nuid)
        self._buffer = bytearray()
        self._sha256 = hashlib.sha256()
        self._size_octets = 0
        self._chunk_count = 0
        self._on_their_way: deque[Begun] = deque()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            await self.abort()

    async def write(self, octets: bytes | bytearray | memoryview) -> None:
        """
        Take in octets; waits while a window's worth is on its way.

        Raises:
            StreamFull, StreamUnavailable: A chunk was not stored; abort, nothing of it can be used.
        """
        self._sha256.update(octets)
        self._size_octets += len(octets)
        self._buffer += octets
        while len(self._buffer) >= CHUNK_OCTETS:
            chunk = bytes(self._buffer[:CHUNK_OCTETS])
            del self._buffer[:CHUNK_OCTETS]
            await self._send(chunk)

    async def commit(self) -> ContentRef:
        """
        Make the object exist and return where it lies.

        Raises:
            StreamFull, StreamUnavailable: It may exist or not; another of its name does no harm.
        """
        if self._buffer:
            await self._send(bytes(self._buffer))
            self._buffer.clear()
        await self._arrived()
        former = await _describe(self._publisher.client, self._bucket, self._name)
        digest = self._sha256.digest()
        description = {
            "name": self._name,
            "bucket": self._bucket,
            "nuid": self._nuid,
            "size": self._size_octets,
            "chunks": self._chunk_count,
            "mtime": datetime.now(UTC).isoformat(),
            "digest": "SHA-256=" + base64.urlsafe_b64encode(digest).decode(),
            "options": {"max_chunk_size": CHUNK_OCTETS},
        }
        await self._publisher.publish(
            _description_subject_of(self._bucket, self._name),
            json.dumps(description).encode(),
            stream=stream_of(self._bucket),
            timeout_s=self._timeout_s,
            headers={"Nats-Rollup": "sub"},
        )
        if former is not None:
            chunks = chunks_subject_of(self._bucket, former.nuid)
            await purge(self._publisher.client, stream_of(self._bucket), chunks)
        return ContentRef(
            bucket=self._bucket, name=self._name, size_octets=self._size_octets, sha256=digest.hex()
        )

    async def abort(self) -> None:
        """Give back what was stored of it; what cannot be reached now is swept later."""
        self._buffer.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ABORT_S):
                # Each of them, refused or not: one that is still on its way could come in after the purge.
                while self._on_their_way:
                    with contextlib.suppress(MailchuteError):
                        await self._arrived(but=len(self._on_their_way) - 1)
        for begun in self._on_their_way:
            begun.forget()
        if self._chunk_count:
            with contextlib.suppress(StreamUnavailable):
                await purge(self._publisher.client, stream_of(self._bucket), self._chunks_subject)

    async def _arrived(self, but: int = 0) -> None:
        while len(self._on_their_way) > but:
            await self._on_their_way.popleft().receipt(self._timeout_s)

    async def _send(self, chunk: bytes) -> None:
        await self._arrived(but=self._window - 1)
        self._chunk_count += 1
        stream = stream_of(self._bucket)
        self._on_their_way.append(await self._publisher.begin(self._chunks_subject, chunk, stream=stream))


async def write_object(publisher: Publisher, name: str, octets: bytes) -> ContentRef:
    """Write an object that is already whole. Raises: as ObjectWriter."""
    async with ObjectWriter(publisher, name) as writer:
        view = memoryview(octets)
        for start in range(0, len(octets), CHUNK_OCTETS):
            await writer.write(view[start : start + CHUNK_OCTETS])
        return await writer.commit()


async def read_object(client: Client, ref: ContentRef) -> bytes:
    """
    Return the octets that `ref` refers to.

    Raises:
        ContentMissing: There is no such object, or it is not the one that was written.
        ContentUnavailable: The Object Store did not answer, or not with all of it.
    """
    try:
        description = await _describe(client, ref.bucket, ref.name)
        if description is None:
            raise ContentMissing(f"object {ref.name} is gone")
        content = bytearray()
        subject, sequence = chunks_subject_of(ref.bucket, description.nuid), 1
        while len(content) < description.size:
            chunks = await read_run(
                client, stream_of(ref.bucket), subject, from_sequence=sequence, count=READ_CHUNKS
            )
            if not chunks:
                raise ContentUnavailable(f"object {ref.name}: {len(content)} of {description.size} octets")
            content += b"".join(chunk.body for chunk in chunks)
            sequence = chunks[-1].sequence + 1
    except StreamUnavailable as error:
        raise ContentUnavailable(f"object {ref.name}: {error}") from error
    if hashlib.sha256(content).hexdigest() != ref.sha256:
        raise ContentMissing(f"object {ref.name} is another than was written")
    return bytes(content)


async def delete_object(client: Client, ref: ContentRef) -> None:
    """
    Remove an object and its chunks; one that is gone already is no error.

    Raises:
        ContentUnavailable: The Object Store did not answer; do it again.
    """
    stream = stream_of(ref.bucket)
    try:
        description = await _describe(client, ref.bucket, ref.name)
        if description is not None:
            # The description first: killed in between, chunks are left to sweep, never half an object.
            await purge(client, stream, _description_subject_of(ref.bucket, ref.name))
            await purge(client, stream, chunks_subject_of(ref.bucket, description.nuid))
    except StreamUnavailable as error:
        raise ContentUnavailable(f"object {ref.name}: {error}") from error


async def _describe(client: Client, bucket: str, name: str) -> Description | None:
    stored = await read_stored(client, stream_of(bucket), subject=_description_subject_of(bucket, name))
    return None if stored is None else msgspec.json.decode(stored.body, type=Description)


def stream_of(bucket: str) -> str:
    return f"OBJ_{bucket}"


def chunks_subject_of(bucket: str, nuid: str) -> str:
    return f"$O.{bucket}.C.{nuid}"


def _description_subject_of(bucket: str, name: str) -> str:
    return f"$O.{bucket}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"
