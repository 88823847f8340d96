"""record is called for what waits together, and one bad batch takes no other with it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from connector.batch import FunctionAnswer
from connector.delivery import Delivery
from connector.record import EVENTS_MAX, RecordStage
from mailchute import wire
from mailchute.function import NEVER
from mailchute.journal import JournalBatch, Recorded

from tests.unit.connector.test_journal import event

BAD = "bad"


@dataclass
class FakeRecord:
    """Refuses whatever holds the mail BAD, as the database would."""

    calls: list[list[str]] = field(default_factory=list)

    async def call(self, body: bytes) -> FunctionAnswer:
        await asyncio.sleep(0)
        mail_ids = [each.mail_id for each in wire.decode(body, JournalBatch).events]
        self.calls.append(mail_ids)
        if BAD in mail_ids:
            return FunctionAnswer(NEVER, b"{}", None)
        return FunctionAnswer(200, wire.encode(Recorded(new_count=len(mail_ids))), None)


@dataclass
class FakeBurial:
    buried: list[bytes] = field(default_factory=list)

    async def of_unreadable(self, delivery: Delivery, *, stage: str, reason: str) -> None:
        self.buried.append(delivery.body)


@dataclass
class FakeClient:
    acked: list[str] = field(default_factory=list)

    async def publish(self, subject: str, body: bytes) -> None:
        assert body == b""
        self.acked.append(subject)


def worked(*batches: list[str]) -> tuple[FakeRecord, FakeBurial, FakeClient]:
    """Return what came of batches that lay on the journal together."""
    record, burial, client = FakeRecord(), FakeBurial(), FakeClient()
    stage = RecordStage(record, burial)  # type: ignore[arg-type]

    async def work() -> None:
        await asyncio.gather(*(stage.work(each) for each in deliveries))

    def delivery(number: int, mail_ids: list[str]) -> Delivery:
        body = wire.encode(JournalBatch(events=tuple(map(event, mail_ids))))
        fields: dict[str, Any] = {"client": client, "sequence": number, "num_delivered": 1}
        return Delivery(subject="journal", body=body, reply=f"ack.{number}", **fields)

    deliveries = [delivery(number, mail_ids) for number, mail_ids in enumerate(batches)]
    asyncio.run(work())
    return record, burial, client


def test_batches_of_one_moment_are_one_call_and_each_is_acknowledged() -> None:
    record, _, client = worked(["1", "2"], ["3"], ["4"])
    assert record.calls == [["1", "2", "3", "4"]]
    assert client.acked == ["ack.0", "ack.1", "ack.2"]


def test_a_batch_that_is_refused_is_found_and_the_others_are_recorded() -> None:
    record, burial, client = worked(["1"], [BAD], ["3"])
    assert sorted(record.calls[1:]) == [["1"], ["3"], [BAD]]
    assert [wire.decode(each, JournalBatch).events[0].mail_id for each in burial.buried] == [BAD]
    assert sorted(client.acked) == ["ack.0", "ack.1", "ack.2"]


def test_no_call_is_much_larger_than_its_limit() -> None:
    batch = [str(number) for number in range(EVENTS_MAX // 4)]
    record, _, client = worked(*[batch] * 5)
    assert sorted(len(call) for call in record.calls) == [EVENTS_MAX // 4, EVENTS_MAX]
    assert len(client.acked) == 5
