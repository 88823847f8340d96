"""Lines and blocks of what a client has sent."""

import asyncio

import pytest
from smtp_ingress.inbox import COMMAND_MAX_OCTETS, HIGH_WATER_OCTETS, Inbox
from smtp_ingress.replies import Refused


class FakeTransport:
    def __init__(self):
        self.is_reading = True

    def pause_reading(self):
        self.is_reading = False

    def resume_reading(self):
        self.is_reading = True


def run(work):
    async def with_inbox():
        inbox = Inbox()
        inbox.transport = FakeTransport()
        return await work(inbox)

    return asyncio.run(with_inbox())


def test_lines_come_one_by_one_however_they_were_sent():
    async def work(inbox):
        inbox.feed(b"NOOP\r\nQU")
        first = await inbox.line()
        asyncio.get_running_loop().call_soon(inbox.feed, b"IT\r\n")
        return [first, await inbox.line()]

    assert run(work) == [b"NOOP", b"QUIT"]


@pytest.mark.parametrize(
    ("octets", "reply"),
    [
        (b"NOOP\n", "521 5.5.2"),
        (b"NO\rOP\r\n", "521 5.5.2"),
        (b"\n", "521 5.5.2"),
        (b"x" * COMMAND_MAX_OCTETS, "500 5.5.2"),
        (b"x" * COMMAND_MAX_OCTETS + b"\r\n", "500 5.5.2"),
    ],
)
def test_what_is_no_command_line_is_refused(octets, reply):
    async def work(inbox):
        inbox.feed(octets)
        await inbox.line()

    with pytest.raises(Refused, match=reply) as refused:
        run(work)
    assert refused.value.closes


def test_a_client_that_is_not_heard_is_not_read():
    async def work(inbox):
        inbox.feed(b"x" * (HIGH_WATER_OCTETS + 1))
        assert not inbox.transport.is_reading
        assert len(await inbox.block(10)) == 10
        assert len(await inbox.block()) == HIGH_WATER_OCTETS - 9
        asyncio.get_running_loop().call_soon(inbox.feed, b"y")
        await inbox.block()
        return inbox.transport.is_reading

    assert run(work)


def test_the_end_comes_after_what_was_sent():
    async def work(inbox):
        inbox.feed(b"QUIT\r\n")
        inbox.end()
        assert await inbox.line() == b"QUIT"
        with pytest.raises(EOFError):
            await inbox.line()

    run(work)


def test_silence_is_noticed_and_so_is_its_end():
    async def work(inbox):
        assert await inbox.silence(0.01)
        asyncio.get_running_loop().call_soon(inbox.feed, b"x")
        return await inbox.silence(20)

    assert not run(work)
