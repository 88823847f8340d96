"""The checker: joins what was answered 250 with what the sink received."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One mail as the load generator saw it. Times are of the monotonic clock all processes share."""

    token: str
    kind: str
    code: str  # the reply to the final dot, or to what was refused before; "000": the session broke
    began_ns: int
    dot_ns: int
    replied_ns: int

    @property
    def was_accepted(self) -> bool:
        return self.code == "250"


@dataclass(frozen=True, kw_only=True)
class Received:
    """One POST as the sink saw it."""

    token: str
    path: str
    received_ns: int
    size_octets: int


@dataclass(frozen=True, kw_only=True)
class Account:
    """What became of every mail."""

    accepted: int
    refused: int
    delivered: int  # accepted mails with at least one POST
    lost: tuple[str, ...]  # answered 250, never POSTed
    doubled: tuple[str, ...]  # POSTed more than once
    strange: tuple[str, ...]  # POSTed, though nobody sent it

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.strange)


def read_ledger(path: Path) -> list[Sent]:
    rows = (line.split() for line in path.read_text().splitlines())
    return [
        Sent(
            token=token, kind=kind, code=code,
            began_ns=int(began), dot_ns=int(dot), replied_ns=int(replied),
        )
        for token, kind, code, began, dot, replied in rows
    ]  # fmt: skip


def read_journal(path: Path, run: str | None = None) -> list[Received]:
    """Return the POSTs of one run (the middle part of its tokens), or of all."""
    mark = f"bench.{run}." if run else ""
    rows = (line.split() for line in path.read_text().splitlines() if line.startswith(mark))
    return [
        Received(token=token, path=where, received_ns=int(received), size_octets=int(size))
        for token, where, received, size in rows
    ]


def settle(sent: Iterable[Sent], received: Iterable[Received]) -> Account:
    """Return the account of one run."""
    by_token = {row.token: row for row in sent}
    posts = Counter(row.token for row in received)
    accepted = {token for token, row in by_token.items() if row.was_accepted}
    return Account(
        accepted=len(accepted),
        refused=len(by_token) - len(accepted),
        delivered=len(accepted & posts.keys()),
        lost=tuple(sorted(accepted - posts.keys())),
        doubled=tuple(sorted(token for token, count in posts.items() if count > 1)),
        strange=tuple(sorted(posts.keys() - by_token.keys())),
    )


def sees_a_planted_loss(sent: list[Sent], received: list[Received]) -> bool:
    """Return whether the checker names the one mail whose POSTs are taken out of this journal."""
    if not received:
        return False
    victim = received[len(received) // 2].token
    before = settle(sent, received)
    after = settle(sent, [row for row in received if row.token != victim])
    return set(after.lost) - set(before.lost) == {victim}
