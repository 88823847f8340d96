"""What is said once the content is whole, by what the stream says."""

import asyncio
import logging
from datetime import UTC, datetime

import pytest
from mailchute import wire
from mailchute.envelope import Envelope, Path
from mailchute.errors import StreamFull, StreamUnavailable
from mailchute.eventlog import EventLog
from mailchute.mail import MailObject
from smtp_ingress.acceptance import Acceptance, draft
from smtp_ingress.board import Board
from smtp_ingress.intake import Intake

from tests.unit.ingress.fakes import FakePublisher, FakeWriter, snapshot


class FakeStored:
    def __init__(self, publisher):
        self.publisher = publisher
        self.deleted = []
        self.is_away = False

    async def mail_at(self, sequence):
        if self.is_away:
            raise StreamUnavailable("away")
        return wire.decode(self.publisher.stored[sequence - 1].body, MailObject)

    async def delete(self, ref):
        self.deleted.append(ref.name)


class Scene:
    def __init__(self):
        self.publisher = FakePublisher()
        self.stored = FakeStored(self.publisher)
        self.writers = []
        self.row = Board(1).row(0)
        self.acceptance = Acceptance(
            self.publisher,
            self.stored,
            self._writer,
            row=self.row,
            timeout_s=1,
            log=EventLog(logging.getLogger("test")),
        )

    def _writer(self, name, window):
        self.writers.append(FakeWriter(name))
        return self.writers[-1]

    async def send(self, *to, content=b"x: y\r\n\r\nz\r\n", memory_octets=1_000):
        drafts = [
            draft(
                Envelope(
                    reverse_path=None,
                    forward_path=Path.parse(each),
                    client_ip="192.0.2.1",
                    helo="client.test",
                ),
                snapshot(each),
                hostname="mx.test",
                received_at=datetime.now(UTC),
                is_extended=True,
            )
            for each in to
        ]
        intake = Intake(
            limit_octets=10_000,
            memory_octets=memory_octets,
            open_writers=lambda: self.acceptance.open_writers(drafts, 1),
        )
        await intake.add(content)
        return await self.acceptance.accept(drafts, intake)


def test_a_new_mail_is_answered_with_its_id():
    scene = Scene()
    reply = asyncio.run(scene.send("a@inbox.test"))
    mail = wire.decode(scene.publisher.stored[0].body, MailObject)
    assert reply == f"250 2.0.0 accepted {mail.id}"
    assert scene.publisher.stored[0].message_id == mail.fingerprint


def test_a_resend_is_answered_with_the_id_that_is_stored_and_told_to_the_journal():
    scene = Scene()
    first = asyncio.run(scene.send("a@inbox.test")).split()[-1]
    assert asyncio.run(scene.send("a@inbox.test")) == f"250 2.0.0 already have {first}"
    assert scene.publisher.stored[1].subject == "journal"
    assert scene.row.counted("duplicates") == 1


def test_a_resend_whose_first_cannot_be_read_is_still_a_success():
    scene = Scene()
    asyncio.run(scene.send("a@inbox.test"))
    scene.stored.is_away = True
    assert asyncio.run(scene.send("a@inbox.test")) == "250 2.0.0 already have it as MAIL 1"


def test_the_object_of_a_resend_is_removed():
    scene = Scene()
    asyncio.run(scene.send("a@inbox.test", memory_octets=1))
    asyncio.run(scene.send("a@inbox.test", memory_octets=1))
    assert scene.stored.deleted == [scene.writers[1].name]


def test_an_object_whose_mail_may_be_stored_is_left():
    scene = Scene()
    scene.publisher.raises = StreamUnavailable("no receipt")
    with pytest.raises(StreamUnavailable):
        asyncio.run(scene.send("a@inbox.test", memory_octets=1))
    assert scene.stored.deleted == []


def test_an_object_whose_mail_is_certainly_not_stored_is_removed():
    scene = Scene()
    scene.publisher.raises = StreamFull("full")
    with pytest.raises(StreamFull):
        asyncio.run(scene.send("a@inbox.test", memory_octets=1))
    assert scene.stored.deleted == [scene.writers[0].name]
