"""Runs over many mails: which they are, and that each is pushed once whatever is killed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from mailchute.commands import Command
from mailchute.database import Database
from mailchute.errors import TransientError
from mailchute.ids import new_id
from mailchute.replaying import Replaying
from mailchute.store import replays
from mailchute.store.accounts import ensure_account
from mailchute.store.replays import AnotherSelection, ReplayView, Selection

from functions.record.ledger import record
from tests.unit.record.test_fold import told

BEGIN = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOW = BEGIN + timedelta(days=1)
RUN = "run_01KAJ000000000000000000000"
DEAD = Selection(state="dead")


class Kept:
    """A database with mails; each is told of as the connector does."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        with self.database.write() as connection:
            self.account_id = ensure_account(connection, now=BEGIN)

    def mail(self, second: int, *, alias: str = "als_1", **endpoints: str) -> str:
        """Record one accepted at this second, and what became of it at each endpoint."""
        at = BEGIN + timedelta(seconds=second)
        mail = new_id("msg", now_ms=int(at.timestamp() * 1_000))
        facts = [told("accepted", second, mail=mail, mail_sequence=second + 1, retention_s=3_600)]
        if endpoints:
            facts.append(told("parsed", second, mail=mail, endpoint_ids=tuple(endpoints)))
        facts += [
            told(state, second + 1, mail=mail, endpoint_id=endpoint)  # type: ignore[arg-type]
            for endpoint, state in endpoints.items()
            if state != "pending"
        ]
        self.tell(*facts, alias=alias)
        return mail

    def tell(self, *facts: Any, alias: str = "als_1") -> None:
        record(
            self.database,
            [msgspec.structs.replace(one, account_id=self.account_id, alias_id=alias) for one in facts],
        )

    def begin(self, selection: Selection, run: str = RUN, *, rate_per_s: float = 1_000) -> ReplayView:
        with self.database.write() as connection:
            return replays.begin(
                connection, self.account_id, selection, run=run, rate_per_s=rate_per_s, now=NOW
            )[0]

    def run_of(self, run: str = RUN) -> ReplayView:
        with self.database.read() as connection:
            found = replays.run_of(connection, self.account_id, run)
        assert found is not None
        return found

    def work(self, run: ReplayView, push: Callable[[Command], bool]) -> None:
        Replaying(database=self.database, push=push).work(run)


@pytest.fixture
def kept(database_url: str) -> Iterator[Kept]:
    kept = Kept(database_url)
    yield kept
    kept.database.close()


def pushed(kept: Kept, selection: Selection) -> list[tuple[str, str | None]]:
    """Return (mail, endpoint) of every order of a run of this selection, sorted."""
    orders: list[Command] = []
    kept.work(kept.begin(selection, new_id("run")), lambda order: orders.append(order) is None)
    return sorted((order.mail_id or "", order.endpoint_id) for order in orders)


def test_a_selection_is_what_has_ended_and_all_that_it_says_holds(kept: Kept) -> None:
    early = kept.mail(0, end_a="delivered")
    both = kept.mail(10, end_a="delivered", end_b="dead")
    other = kept.mail(20, alias="als_2", end_c="delivered")
    kept.mail(30, end_a="pending")
    kept.tell(told("rejected", 40, mail="msg_rejected"))  # nobody told where it lies
    ten = BEGIN + timedelta(seconds=10)
    assert pushed(kept, Selection(since=ten)) == [(both, None), (other, None)]
    assert pushed(kept, Selection(until=ten)) == [(early, None)]
    assert pushed(kept, Selection(alias_id="als_2")) == [(other, None)]
    assert pushed(kept, Selection(endpoint_id="end_a")) == [(early, "end_a"), (both, "end_a")]
    assert pushed(kept, Selection(endpoint_id="end_a", state="dead")) == []
    with kept.database.read() as connection:
        count, sample = replays.look(connection, kept.account_id, Selection(), now=NOW)
        assert (count, [one.id for one in sample]) == (3, [early, both, other])
        assert replays.look(connection, "acc_other", Selection(), now=NOW) == (0, [])


def test_the_dead_go_where_they_are_dead_and_nowhere_else(kept: Kept) -> None:
    one_of_two = kept.mail(0, end_a="delivered", end_b="dead")
    both = kept.mail(10, end_a="dead", end_b="dead")
    two_of_three = kept.mail(20, end_a="dead", end_b="dead", end_c="delivered")
    unread = kept.mail(30)
    kept.tell(told("dead", 31, mail=unread, stage="parse", reason="three crashes"))
    again = kept.mail(40, end_a="dead")
    kept.tell(told("delivered", 41, mail=again, run=RUN, endpoint_id="end_a"))
    assert pushed(kept, DEAD) == [
        (one_of_two, "end_b"), (both, None), (two_of_three, "end_a"), (two_of_three, "end_b"), (unread, None),
    ]  # fmt: skip
    assert pushed(kept, Selection(state="dead", endpoint_id="end_b")) == [
        (one_of_two, "end_b"), (both, "end_b"), (two_of_three, "end_b"),
    ]  # fmt: skip


def test_a_run_that_was_killed_goes_on_and_what_it_repeats_has_the_same_id(kept: Kept) -> None:
    mails = [kept.mail(second, end_a="dead") for second in range(8)]
    calls: Counter[str] = Counter()
    reached: Counter[str] = Counter()

    def dies(order: Command) -> bool:
        if len(calls) == 5:
            raise KeyboardInterrupt
        calls[order.id] += 1
        reached[order.mail_id or ""] += 1
        return True

    def works(order: Command) -> bool:
        calls[order.id] += 1
        reached[order.mail_id or ""] += 1
        return True

    run = kept.begin(DEAD, rate_per_s=3)  # so that a page has three mails
    with pytest.raises(KeyboardInterrupt):
        kept.work(run, dies)
    left = kept.run_of()
    assert (left.done_count, left.ended_at) == (3, None)
    kept.work(left, works)
    assert sorted(reached) == mails
    assert len(calls) == 8  # repeated ones are known by their ids
    done = kept.run_of()
    assert (done.done_count, done.total_count, done.refused_count) == (8, 8, 0)
    assert done.ended_at is not None
    kept.work(done, lambda _order: pytest.fail("it is done"))


def test_two_at_once_count_each_mail_once_and_ask_for_the_same_orders(kept: Kept) -> None:
    for second in range(120):
        kept.mail(second, end_a="dead")
    run, seen, lock = kept.begin(DEAD), Counter[str](), threading.Lock()

    def push(order: Command) -> bool:
        with lock:
            seen[order.id] += 1
        return True

    threads = [threading.Thread(target=kept.work, args=(run, push)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 120
    assert (kept.run_of().done_count, kept.run_of().total_count) == (120, 120)


def test_what_a_run_does_never_becomes_part_of_it(kept: Kept) -> None:
    mails = [kept.mail(second, end_a="dead") for second in range(3)]
    seen: list[str] = []

    def push(order: Command) -> bool:
        mail = order.mail_id or ""
        seen.append(mail)
        late = timedelta(days=2).total_seconds()  # it dies again at once
        kept.tell(
            told("parsed", late, mail=mail, run=order.run or "", endpoint_ids=("end_a",)),
            told("dead", late, mail=mail, run=order.run or "", endpoint_id="end_a"),
        )
        kept.mail(int(late), end_a="dead")  # and others die meanwhile
        return True

    kept.work(kept.begin(DEAD), push)
    assert sorted(seen) == mails


def test_mails_that_are_gone_are_counted_and_stop_nobody(kept: Kept) -> None:
    mails = [kept.mail(second, end_a="dead") for second in range(4)]
    kept.work(kept.begin(DEAD), lambda order: order.mail_id != mails[1])
    done = kept.run_of()
    assert (done.done_count, done.refused_count) == (4, 1)


def test_a_mail_flow_that_is_away_for_a_moment_is_waited_for(kept: Kept) -> None:
    kept.mail(0, end_a="dead")
    answers = iter([TransientError("away"), None])

    def push(_order: Command) -> bool:
        if error := next(answers):
            raise error
        return True

    kept.work(kept.begin(DEAD), push)
    assert kept.run_of().done_count == 1


def test_a_runs_id_belongs_to_one_selection_of_one_account(kept: Kept) -> None:
    first = kept.begin(DEAD)
    assert kept.begin(DEAD) == first
    with pytest.raises(AnotherSelection, match="other mails"):
        kept.begin(Selection(state="delivered"))
    with kept.database.write() as connection, pytest.raises(AnotherSelection):
        replays.begin(connection, "acc_other", DEAD, run=RUN, rate_per_s=1, now=NOW)
    with kept.database.read() as connection:
        assert replays.run_of(connection, "acc_other", RUN) is None
