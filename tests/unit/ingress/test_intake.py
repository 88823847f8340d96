"""Content on its way in."""

import asyncio
import hashlib

import pytest
from mailchute.errors import StreamFull
from smtp_ingress.intake import RECEIVED_MAX_COUNT, Intake
from smtp_ingress.replies import Refused

from tests.unit.ingress.fakes import FakeWriter


def take(pieces, *, limit=1_000_000, memory=1_000_000, writers=()):
    async def opened():
        return list(writers)

    async def work():
        intake = Intake(limit_octets=limit, memory_octets=memory, open_writers=opened)
        for piece in pieces:
            await intake.add(piece)
        return intake

    return asyncio.run(work())


def test_small_content_is_held():
    intake = take([b"a", b"b"])
    assert (intake.pieces, intake.size_octets) == ([b"a", b"b"], 2)
    assert intake.sha256() == hashlib.sha256(b"ab").digest()


def test_big_content_goes_to_every_writer_and_is_not_held():
    writers = [FakeWriter(), FakeWriter()]
    intake = take([b"a" * 6, b"b" * 6, b"c" * 6], memory=10, writers=writers)
    assert intake.pieces == []
    assert [writer.octets for writer in writers] == [b"aaaaaabbbbbbcccccc"] * 2


def test_content_over_the_limit_is_refused():
    take([b"x" * 10], limit=10)
    with pytest.raises(Refused, match=r"552 5\.3\.4"):
        take([b"x" * 10, b"x"], limit=10)


def test_a_writer_that_fails_is_told_as_it_is():
    writer = FakeWriter()
    writer.raises = StreamFull("full")
    with pytest.raises(StreamFull):
        take([b"x" * 20], memory=10, writers=[writer])


def test_what_was_not_accepted_leaves_no_object():
    writer = FakeWriter()
    asyncio.run(take([b"x" * 20], memory=10, writers=[writer]).abort())
    assert writer.is_aborted


@pytest.mark.parametrize("cut", [1, 3, 7, 8, 9, 20])
def test_received_fields_are_counted_wherever_the_blocks_are_cut(cut):
    def blocks(count):
        octets = (
            b"Received: by a;\r\n\tfolded\r\nX: Received: no\r\n" * count
            + b"\r\nReceived: of the body\r\n" * 99
        )
        return [octets[start : start + cut] for start in range(0, len(octets), cut)]

    take(blocks(RECEIVED_MAX_COUNT))
    with pytest.raises(Refused, match=r"554 5\.4\.6"):
        take(blocks(RECEIVED_MAX_COUNT + 1))
