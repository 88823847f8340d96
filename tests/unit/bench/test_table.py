"""The table says what was measured, and what was not."""

from __future__ import annotations

from typing import Any

from bench.book import Book, percentile
from bench.ledger import Received, Sent, settle
from bench.page import page
from bench.stage import Run
from bench.table import rows_of

SIZES = {"accept": 1, "small": 1, "mix": 1}


def run(wall_s: float, cpu_s: float, lost: int = 0, mails: int = 100, strangers: float = 0.2) -> Run:
    sent = [
        Sent(
            token=f"bench.r1.{n:06}", kind="small", code="250",
            began_ns=0, dot_ns=1_000_000, replied_ns=int(wall_s * 1e9),
        )
        for n in range(mails)
    ]  # fmt: skip
    received = [
        Received(token=row.token, path="/ok", received_ns=row.replied_ns + 5_000_000, size_octets=1)
        for row in sent[lost:]
    ]
    account = settle(sent, received)
    numbers: dict[str, Any] = {"load_cpu_s": 0.1, "stage_cpu_s": 0.1, "wall_s": wall_s}
    numbers["machine_s"] = (cpu_s + 0.2) / (1 - strangers)
    return Run(sent=sent, received=received, account=account, cpu={"scan": cpu_s}, **numbers)


def cells(book: Book, what: str) -> tuple[str, ...]:
    [row] = [row for row in rows_of(book) if row.what.startswith(what)]
    return row.cells()


def test_an_empty_book_invents_nothing() -> None:
    for row in rows_of(Book()):
        assert row.ours == "not measured"
        assert row.reached is None


def test_a_rate_is_set_beside_the_peers_best_round() -> None:
    book = Book()
    book.runs["Mailchute", "small"] += [run(2.0, 0.5), run(1.0, 0.4)]
    book.runs["Node", "small"] += [run(2.0, 0.4), run(4.0, 0.4)]
    assert cells(book, "end to end, signed")[1:] == ("100/s", "Node 50/s", "2.00×", "≥ 1.0×", "yes")
    assert cells(book, "CPU, small")[1:] == ("4.00 ms", "Node 4.00 ms", "1.00×", "4.2 ms", "yes")


def test_a_figure_that_falls_short_says_so() -> None:
    book = Book()
    book.runs["Mailchute", "accept-new"].append(run(1.0, 0.4))
    book.runs["Postfix", "accept-new"].append(run(1.0, 0.4))
    assert cells(book, "accept, 5 KB, a new")[3:] == ("1.00×", "2×", "**no**")


def test_a_rate_measured_beside_strangers_claims_nothing() -> None:
    book = Book()
    book.runs["Mailchute", "small"].append(run(1.0, 0.4))
    book.runs["Node", "small"].append(run(5.0, 0.4, strangers=0.6))
    assert cells(book, "end to end, signed")[3:] == ("5.00×", "≥ 1.0×", "disturbed")


def test_a_loss_is_told_and_a_blind_checker_too() -> None:
    book = Book()
    book.runs["Mailchute", "small"].append(run(1.0, 0.4, lost=2))
    assert cells(book, "answered 250")[1] == "2 lost, 0 doubled of 100"
    assert "BLIND" in cells(book, "answered 250")[0]
    book.planted_loss_seen = True
    assert cells(book, "answered 250")[5] == "**no**"


def test_the_page_names_what_was_not_measured() -> None:
    book = Book()
    book.missing["Postfix"] = "not installed (Debian package postfix)"
    text = page(book, ["a machine"], SIZES)
    assert "- Postfix: not installed (Debian package postfix)" in text
    assert "Postfix not measured" in text


def test_a_percentile_is_a_value_that_occurred() -> None:
    assert percentile([5.0, 1.0, 3.0], 0.5) == 3.0
    assert percentile([1.0], 0.99) == 1.0
