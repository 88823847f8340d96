"""The book in words: each figure beside the peer's and beside the number to reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bench.book import Book, middle, per_mail_ms, percentile
from bench.stage import Run

OURS, POSTFIX, NODE, AIOSMTPD = "Mailchute", "Postfix", "Node", "aiosmtpd"
NOT_MEASURED = "not measured"
DISTURBED_SHARE = 0.35  # of the busy time; on a quiet machine the kernel alone takes 0.15 to 0.25
BUDGET_MS = {
    "ingress": 0.5, "NATS": 0.6, "connector": 0.6, "scan": 1.2, "parse": 0.7, "deliver": 0.45, "record": 0.15,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    what: str
    ours: str = NOT_MEASURED
    peer: str = "–"
    ratio: str = "–"
    reach: str = "–"
    reached: bool | None = None  # None: nothing to reach, or not measured
    is_disturbed: bool = False  # strangers took so much CPU that a ratio of rates says nothing

    def cells(self) -> tuple[str, ...]:
        mark = {True: "yes", False: "**no**", None: "–"}[self.reached]
        mark = "disturbed" if self.is_disturbed else mark
        return (self.what, self.ours, self.peer, self.ratio, self.reach, mark)


HEADINGS = ("what", "ours", "peer", "ratio", "reach", "reached")


def rows_of(book: Book) -> Iterator[Row]:
    """Yield the lines of the table."""
    yield _accept(book, "accept-new", "accept, 5 KB, a new connection each", 2.0)
    yield _accept(book, "accept-reused", "accept, 5 KB, connections reused", 2.0)
    busy = book.best(OURS, "accept-busy")
    yield Row(
        what="accept, new connections, while everything behind it works too",
        ours=f"{busy.accept_per_s:.0f}/s" if busy else NOT_MEASURED,
    )
    unloaded = book.times_ms(OURS, "unloaded", "dot_to_reply")
    yield _time(
        "final dot → 250, unloaded", unloaded, book.times_ms(POSTFIX, "accept-unloaded", "dot_to_reply"),
        POSTFIX, p99_ms=50,
    )  # fmt: skip
    loaded = book.times_ms(OURS, "small", "dot_to_reply")
    yield _time("final dot → 250, under full load", loaded, [], "", p99_ms=200)
    yield _rate(book, "small", "end to end, signed small mail (5 KB)")
    yield _rate(book, "mix", "end to end, realistic mix")
    yield _cost(book, "small", "CPU, small mail", 4.2)
    yield _cost(book, "mix", "CPU, mix", None)
    yield _time(
        "250 → POST, unloaded (peer: final dot → POST)", book.times_ms(OURS, "unloaded", "reply_to_post"),
        book.times_ms(NODE, "unloaded", "dot_to_post"), NODE, p50_ms=25, p99_ms=100,
    )  # fmt: skip
    yield _dead(book)
    yield _memory(book)
    yield _start(book)
    yield _ledger(book)


def costs_of(book: Book, scenario: str) -> Iterator[tuple[str, str, str]]:
    """Yield (process, CPU ms per mail, budget) of our cheapest run, largest first."""
    run = book.cheapest(OURS, scenario)
    if run is None:
        return
    for name, ms in per_mail_ms(run.cpu, run.account.accepted).items():
        budget = BUDGET_MS.get(name) if scenario == "small" else None
        yield name, f"{ms:.2f}", f"{budget:.2f}" if budget else "–"
    yield "together", f"{run.cpu_ms_per_mail:.2f}", "4.20" if scenario == "small" else "–"


def _accept(book: Book, scenario: str, what: str, reach: float) -> Row:
    ours, peer = book.best(OURS, scenario), book.best(POSTFIX, scenario)
    row = Row(
        what=what,
        ours=f"{ours.accept_per_s:.0f}/s, {ours.cpu_ms_per_mail:.2f} ms CPU" if ours else NOT_MEASURED,
        peer=_named(POSTFIX, f"{peer.accept_per_s:.0f}/s, {peer.cpu_ms_per_mail:.2f} ms CPU" if peer else ""),
        reach=f"{reach:.0f}×",
    )
    if not ours or not peer:
        return row
    return _compared(row, ours.accept_per_s / peer.accept_per_s, reach, (ours, peer))


def _rate(book: Book, scenario: str, what: str) -> Row:
    ours, peer = book.best(OURS, scenario), book.best(NODE, scenario)
    row = Row(
        what=what,
        ours=f"{ours.delivered_per_s:.0f}/s" if ours else NOT_MEASURED,
        peer=_named(NODE, f"{peer.delivered_per_s:.0f}/s" if peer else ""),
        reach="≥ 1.0×",
    )
    if not ours or not peer:
        return row
    return _compared(row, ours.delivered_per_s / peer.delivered_per_s, 1.0, (ours, peer))


def _cost(book: Book, scenario: str, what: str, reach_ms: float | None) -> Row:
    ours, peer = book.cheapest(OURS, scenario), book.cheapest(NODE, scenario)
    return Row(
        what=what,
        ours=f"{ours.cpu_ms_per_mail:.2f} ms" if ours else NOT_MEASURED,
        peer=_named(NODE, f"{peer.cpu_ms_per_mail:.2f} ms" if peer else ""),
        ratio=f"{ours.cpu_ms_per_mail / peer.cpu_ms_per_mail:.2f}×" if ours and peer else "–",
        reach=f"{reach_ms} ms" if reach_ms else "–",
        reached=ours.cpu_ms_per_mail <= reach_ms if ours and reach_ms else None,
    )


def _time(
    what: str,
    ours: list[float],
    peer: list[float],
    peer_name: str,
    *,
    p50_ms: float | None = None,
    p99_ms: float,
) -> Row:
    reached = None
    if ours:
        reached = percentile(ours, 0.99) < p99_ms and (p50_ms is None or percentile(ours, 0.5) < p50_ms)
    return Row(
        what=what,
        ours=_percentiles(ours) or NOT_MEASURED,
        peer=_named(peer_name, _percentiles(peer)) if peer_name else "–",
        reach=(f"p50 < {p50_ms:.0f}, " if p50_ms else "") + f"p99 < {p99_ms:.0f} ms",
        reached=reached,
    )


def _dead(book: Book) -> Row:
    alone = book.times_ms(OURS, "healthy-alone", "dot_to_post")
    beside = book.times_ms(OURS, "healthy-beside-dead", "dot_to_post")
    if not alone or not beside:
        return Row(what="healthy endpoint beside a dead one with much waiting", reach="p99 < 2×")
    waiting = book.values["waiting for the dead endpoint"][0]
    what = f"healthy endpoint beside a dead one with {waiting:,.0f} waiting (peer: the same alone)"
    ratio = percentile(beside, 0.99) / percentile(alone, 0.99)
    return Row(
        what=what, ours=_percentiles(beside), peer=_percentiles(alone), ratio=f"{ratio:.2f}×",
        reach="p99 < 2×", reached=ratio < 2,
    )  # fmt: skip


def _memory(book: Book) -> Row:
    ours, peer = book.values.get(f"giant growth MiB {OURS}"), book.values.get(f"giant growth MiB {AIOSMTPD}")
    return Row(
        what="25 MiB mail: growth of the ingress at its peak",
        ours=f"{max(ours):.0f} MiB" if ours else NOT_MEASURED,
        peer=_named(AIOSMTPD, f"{max(peer):.0f} MiB" if peer else ""),
        reach="< 10 MiB",
        reached=max(ours) < 10 if ours else None,
    )


def _start(book: Book) -> Row:
    times = book.values.get("ready s")
    return Row(
        what="`mailchute up` → `ready`: first start, restart on its data",
        ours=", ".join(f"{seconds:.1f} s" for seconds in times) if times else NOT_MEASURED,
        reach="< 5 s",
        reached=max(times) < 5 if times else None,
    )


def _ledger(book: Book) -> Row:
    accounts = [run.account for (system, _), runs in book.runs.items() if system == OURS for run in runs]
    lost, doubled = sum(len(one.lost) for one in accounts), sum(len(one.doubled) for one in accounts)
    accepted = sum(one.accepted for one in accounts)
    checked = "the checker saw the loss planted for it" if book.planted_loss_seen else "THE CHECKER IS BLIND"
    return Row(
        what=f"answered 250, then lost; POSTed more than once ({checked})",
        ours=f"{lost} lost, {doubled} doubled of {accepted:,}" if accounts else NOT_MEASURED,
        reach="0 lost",
        reached=(lost == 0 and book.planted_loss_seen) if accounts else None,
    )


def _compared(row: Row, ratio: float, reach: float, runs: tuple[Run, Run]) -> Row:
    is_disturbed = max(run.stranger_share for run in runs) > DISTURBED_SHARE
    return replace(row, ratio=f"{ratio:.2f}×", reached=ratio >= reach, is_disturbed=is_disturbed)


def _percentiles(times_ms: list[float]) -> str:
    if not times_ms:
        return ""
    return f"p50 {middle(times_ms):.1f}, p99 {percentile(times_ms, 0.99):.1f} ms"


def _named(peer: str, figure: str) -> str:
    return f"{peer} {figure or NOT_MEASURED}"
