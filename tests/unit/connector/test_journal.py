"""The journal: told in batches, and no reason to lose mail when it fails."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from connector.journal import Journal
from mailchute import wire
from mailchute.journal import Event, JournalBatch, event_id_of

from connector import journal as module
from tests.contract.stream import FakeStream
from tests.unit.connector.rooms import eventually


def event(number: int | str) -> Event:
    return Event(
        id=event_id_of("accepted", str(number)),
        kind="accepted",
        at=datetime.now(UTC),
        mail_id=str(number),
        account_id="a",
        domain_id="d",
        alias_id="s",
    )


def told(stream: FakeStream) -> list[list[str]]:
    return [[each.mail_id for each in wire.decode(body, JournalBatch).events] for _, body in stream.messages]


def test_events_of_one_moment_ride_together_and_all_wait_for_the_receipt() -> None:
    async def work() -> None:
        stream = FakeStream("JOURNAL", "journal")
        journal = Journal(stream)  # type: ignore[arg-type]
        await asyncio.gather(*(journal.tell(event(number)) for number in range(5)))
        assert told(stream) == [["0", "1", "2", "3", "4"]]

    asyncio.run(work())


def test_what_somebody_waits_for_goes_at_once_and_takes_nobody_along() -> None:
    async def work() -> None:
        stream = FakeStream("JOURNAL", "journal")
        journal = Journal(stream)  # type: ignore[arg-type]
        journal.gather_s = 3_600
        gathering = journal.note(event("later"))
        await journal.note_at_once(event("now"), event("too")).wait()
        assert told(stream) == [["now", "too"]]
        assert not gathering.is_set()
        await journal.flush()
        assert told(stream) == [["now", "too"], ["later"]]

    asyncio.run(work())


def test_a_batch_that_is_full_goes_at_once() -> None:
    async def work() -> None:
        stream = FakeStream("JOURNAL", "journal")
        journal = Journal(stream)  # type: ignore[arg-type]
        await asyncio.gather(*(journal.tell(event(number)) for number in range(module.BATCH_MAX + 1)))
        assert [len(batch) for batch in told(stream)] == [module.BATCH_MAX, 1]

    asyncio.run(work())


def test_while_it_fails_nothing_new_is_begun_and_what_was_told_is_kept() -> None:
    async def work() -> None:
        stream = FakeStream("JOURNAL", "journal", is_away=True)
        journal = Journal(stream)  # type: ignore[arg-type]
        telling = asyncio.ensure_future(journal.tell(event(1)))
        await eventually(lambda: journal.is_failing)
        assert not journal.is_writing.is_set()
        assert not telling.done()
        stream.is_away = False
        await telling
        assert journal.is_writing.is_set()
        assert told(stream) == [["1"]]

    asyncio.run(work())


def test_who_told_it_waits_no_longer_than_ten_seconds() -> None:
    async def work() -> None:
        stream = FakeStream("JOURNAL", "journal", is_away=True)
        journal = Journal(stream, give_up_s=0.1)  # type: ignore[arg-type]
        await journal.tell(event(1))
        assert journal.is_failing
        stream.is_away = False
        await eventually(lambda: told(stream) == [["1"]])

    asyncio.run(work())


def test_while_much_is_told_it_gathers_longer_and_after_a_quiet_message_no_more() -> None:
    async def work() -> list[float]:
        stream = FakeStream("JOURNAL", "journal")
        journal = Journal(stream)  # type: ignore[arg-type]
        gathered_s = []
        for count in (1, module.BUSY_COUNT, 1):
            gathered_s.append(journal.gather_s)
            await journal.tell(*map(event, range(count)))
        return [*gathered_s, journal.gather_s]

    first, quiet, busy, again_quiet = asyncio.run(work())
    assert first == quiet == again_quiet == module.GATHER_S
    assert busy == module.BUSY_GATHER_S
