"""How content is read from a client."""

import asyncio
from dataclasses import replace

import pytest
from mailchute.errors import StreamUnavailable
from smtp_ingress.inbox import Inbox
from smtp_ingress.reception import GRACE_S, Reception
from smtp_ingress.replies import Refused
from smtp_ingress.settings import Settings

SETTINGS = Settings.read({"MAILCHUTE_HOSTNAME": "mx.test"})


class FakeIntake:
    """Keeps what comes; refuses from the octet `full_at` on."""

    def __init__(self, full_at=1 << 40, error=None):
        self.octets = b""
        self.full_at = full_at
        self.error = error or Refused("552 5.3.4 too big")

    async def add(self, piece):
        self.octets += piece
        if len(self.octets) > self.full_at:
            raise self.error


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


def receive(*blocks, intake, message_octets=1_000, clock=None, bdat=None):
    """Return the reply that the content ends in, and how often its memory was given back."""

    async def work():
        inbox, released = Inbox(), []

        async def release():
            released.append(1)

        feeding = iter(blocks)

        def expect():
            if not len(inbox):
                block = next(feeding, None)
                inbox.end() if block is None else inbox.feed(block)
            if clock is not None:
                clock.now_s += 30.0

        reception = Reception(
            inbox,
            intake,
            limits=replace(SETTINGS.limits, message_octets=message_octets),
            timers=SETTINGS.timers,
            expect=expect,
            release=release,
            clock=clock,
        )
        try:
            await (reception.dotted() if bdat is None else reception.chunk(bdat, is_last=True))
        except Refused as refused:
            return refused.reply, refused.closes, len(released)
        return "taken", False, len(released)

    return asyncio.run(work())


def test_content_up_to_its_dot_is_taken():
    intake = FakeIntake()
    assert receive(b"a: b\r\n\r\n..x\r\n", b".\r\nQUIT\r\n", intake=intake) == ("taken", False, 0)
    assert intake.octets == b"a: b\r\n\r\n.x\r\n"


def test_a_refusal_is_told_at_the_dot_and_gives_the_memory_back_at_once():
    for error in (None, StreamUnavailable("secret inside")):
        intake = FakeIntake(full_at=100, error=error)
        blocks = [b"x" * 98 + b"\r\n"] * 9
        reply, closes, released = receive(*blocks, b".\r\n", intake=intake)
        assert (reply[:9], closes, released) == ("451 4.3.0" if error else "552 5.3.4", False, 1)
        assert "secret" not in reply
        assert len(intake.octets) == 198  # two blocks but for the last CR LF: nothing was added after it


def test_what_goes_on_for_another_mails_size_is_cut_off():
    blocks = [b"x" * 98 + b"\r\n"] * 100
    assert receive(*blocks, intake=FakeIntake(full_at=100)) == ("552 5.3.4 too big", True, 1)
    assert receive(*blocks, intake=FakeIntake(full_at=100), bdat=10_000) == ("552 5.3.4 too big", True, 1)


def test_a_chunk_that_is_refused_is_read_to_its_end():
    blocks = [b"x" * 98 + b"\r\n"] * 9
    assert receive(*blocks, intake=FakeIntake(full_at=100), bdat=900) == ("552 5.3.4 too big", False, 1)


def test_a_client_that_sends_steadily_but_too_slowly_is_cut_off_after_a_minute():
    clock, intake = Clock(), FakeIntake()
    reply, closes, _ = receive(*[b"x\r\n"] * 1_000, intake=intake, clock=clock, message_octets=10**6)
    assert (reply[:9], closes) == ("421 4.4.2", True)
    assert clock.now_s == GRACE_S + 30.0
    clock = Clock()
    blocks = [b"x" * 3_998 + b"\r\n"] * 20
    assert receive(*blocks, b".\r\n", intake=FakeIntake(), clock=clock)[0] == "taken"


def test_a_client_that_is_gone_is_no_reply():
    with pytest.raises(EOFError):
        receive(b"x: y\r\n", intake=FakeIntake())
