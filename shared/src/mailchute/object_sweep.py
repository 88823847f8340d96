"""Takes octets out of the Object Store that nobody can refer to any more."""

from __future__ import annotations

from datetime import datetime

import msgspec
from nats.aio.client import Client

from mailchute.errors import ContentUnavailable, StreamUnavailable
from mailchute.objects import Description, chunks_subject_of, stream_of
from mailchute.stored import purge, read_stored, subjects_of
from mailchute.subjects import CONTENT_BUCKET


async def sweep_objects(
    client: Client, *, before: datetime, chunks_before: datetime, bucket: str = CONTENT_BUCKET
) -> int:
    """
    Remove what nobody can refer to any more; returns how many objects and runs of chunks.

    Args:
        before: Objects described before this time have outlived whatever may refer to them.
        chunks_before: Chunks that have had no description since were given up by their writer.

    Raises:
        ContentUnavailable: The Object Store did not answer; do it again.
    """
    stream, count = stream_of(bucket), 0
    try:
        chunked = await subjects_of(client, stream, chunks_subject_of(bucket, "*"))
        for subject in await subjects_of(client, stream, f"$O.{bucket}.M.*"):
            stored = await read_stored(client, stream, subject=subject)
            if stored is None:
                continue
            chunks = chunks_subject_of(bucket, msgspec.json.decode(stored.body, type=Description).nuid)
            chunked.pop(chunks, None)
            if stored.at is not None and stored.at < before:
                await purge(client, stream, subject)
                await purge(client, stream, chunks)
                count += 1
        for subject in chunked:
            stored = await read_stored(client, stream, subject=subject)
            if stored is not None and stored.at is not None and stored.at < chunks_before:
                await purge(client, stream, subject)
                count += 1
    except StreamUnavailable as error:
        raise ContentUnavailable(f"bucket {bucket}: {error}") from error
    return count
