"""The checker sees what is lost, doubled or strange."""

from __future__ import annotations

from pathlib import Path

from bench.ledger import Received, Sent, read_journal, read_ledger, sees_a_planted_loss, settle


def sent(number: int, code: str = "250") -> Sent:
    return Sent(token=f"bench.r1.{number:06}", kind="small", code=code, began_ns=1, dot_ns=2, replied_ns=3)


def received(number: int) -> Received:
    return Received(token=f"bench.r1.{number:06}", path="/ok", received_ns=4, size_octets=5)


def test_a_clean_run_is_clean() -> None:
    account = settle([sent(1), sent(2)], [received(2), received(1)])
    assert account.is_clean
    assert (account.accepted, account.delivered) == (2, 2)


def test_a_mail_answered_250_and_never_posted_is_lost() -> None:
    assert settle([sent(1), sent(2)], [received(1)]).lost == ("bench.r1.000002",)


def test_a_refused_mail_is_not_lost_and_may_even_arrive() -> None:
    account = settle([sent(1, "451"), sent(2, "000")], [received(2)])
    assert account.is_clean
    assert account.refused == 2


def test_two_posts_of_one_mail_are_a_double() -> None:
    assert settle([sent(1)], [received(1), received(1)]).doubled == ("bench.r1.000001",)


def test_a_post_nobody_sent_is_strange() -> None:
    assert settle([sent(1)], [received(1), received(7)]).strange == ("bench.r1.000007",)


def test_a_planted_loss_is_seen_and_a_checker_without_posts_is_blind() -> None:
    rows = [sent(n) for n in range(9)]
    assert sees_a_planted_loss(rows, [received(n) for n in range(9)])
    assert not sees_a_planted_loss(rows, [])


def test_files_are_read_and_other_runs_left_out(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("bench.r1.000001 small 250 1 2 3\n")
    (tmp_path / "journal").write_text("bench.r1.000001 /ok 4 5\nbench.r11.000001 /ok 4 5\n- /ok 4 5\n")
    assert read_ledger(tmp_path / "ledger") == [sent(1)]
    assert read_journal(tmp_path / "journal", "r1") == [received(1)]
    assert len(read_journal(tmp_path / "journal")) == 3
