"""Campaigns are counted by all processes of a host together, whatever becomes of one of them."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailchute.errors import BadSetting

from functions.scan.bursts import WINDOW_S, Bursts
from functions.scan.scan import Scanner
from functions.scan.tally import MINUTES_COUNT, ROWS, WAYS, Tally
from tests.servers.dns import DnsServer
from tests.unit.scan.given import mail, message, settings_for

PROCESSES = 4
TIMES = 500


def digest(name: object) -> bytes:
    return hashlib.sha256(str(name).encode()).digest()


def test_the_same_text_over_and_over_is_a_burst() -> None:
    now = [6_000.0]
    bursts = Bursts(clock=lambda: now[0])

    def count(number: int, domain: str = "inbox.test") -> int:
        text = f"Dear client {number},\nyour code is {number}: http://x.example/{number}\n"
        return bursts.count(author_domain="a.example", recipient_domain=domain, subject="Hi 1", text=text)

    assert [count(number) for number in range(5)] == [1, 2, 3, 4, 5]
    assert count(9, "other.test") == 1
    now[0] += WINDOW_S + 1
    assert count(6) == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=60))
def test_a_count_is_of_the_last_ten_minutes(seen: list[tuple[int, int]]) -> None:
    tally, minute = Tally(None), 1_000
    past: list[tuple[int, int]] = []
    for name, pause in seen:
        minute += pause
        past.append((name, minute))
        expected = sum(n == name and m > minute - MINUTES_COUNT for n, m in past)
        assert tally.count(digest(name), minute) == expected


def test_a_clock_that_goes_back_begins_anew() -> None:
    tally = Tally(None)
    assert [tally.count(digest(1), minute) for minute in (100, 100, 50, 50)] == [1, 2, 1, 2]


def test_many_texts_take_no_more_room_and_count_too_low_at_worst() -> None:
    tally = Tally(None)
    for number in range(ROWS * 3):
        assert tally.count(digest(number), 1 + number // ROWS) == 1
    assert tally.count(digest(ROWS * 3 - 1), 3) == 2


def test_a_crowd_of_one_digest_does_not_overflow(tmp_path: Path) -> None:
    file = tmp_path / "bursts"
    tally = Tally(file)
    tally.count(digest(1), 7)
    octets = bytearray(file.read_bytes())
    at = octets.index(digest(1)[:8])
    struct.pack_into("<H", octets, at + 12 + 2 * (7 % MINUTES_COUNT), 0xFFFF)
    with file.open("r+b") as open_file:
        open_file.write(octets)
    assert tally.count(digest(1), 7) == 0xFFFF


def _count(file: Path, name: str) -> None:
    tally = Tally(file)
    for _ in range(TIMES):
        tally.count(digest(name), 1)


def test_processes_of_a_host_count_together(tmp_path: Path) -> None:
    file = tmp_path / "bursts"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_count, args=(file, str(n % 2))) for n in range(PROCESSES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    counted = [Tally(file).count(digest(name), 1) - 1 for name in ("0", "1")]
    each = TIMES * PROCESSES // 2  # a row that is just locked may lose a number: rather than a mail waits
    assert all(each * 0.5 <= count <= each for count in counted), counted


def _hold(file: Path, ready: object) -> None:
    tally = Tally(file)
    with tally._alone(int.from_bytes(digest(1)[8:12], "little") % (ROWS // WAYS) * WAYS * 32):
        ready.set()  # type: ignore[attr-defined]
        signal.pause()


def test_a_process_that_hangs_or_dies_in_a_row_holds_up_nobody(tmp_path: Path) -> None:
    file = tmp_path / "bursts"
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(file, ready))
    holder.start()
    assert ready.wait(60)
    tally = Tally(file)
    assert [tally.count(digest(1), 1) for _ in range(3)] == [1, 2, 3]
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join(60)
    assert tally.count(digest(1), 1) == 4


@pytest.mark.parametrize("content", [b"", b"x" * 100, os.urandom(ROWS * 32), b"\xff" * ROWS * 32])
def test_a_file_of_anything_is_made_a_table(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bursts"
    file.write_bytes(content)
    tally = Tally(file)
    first = tally.count(digest(1), 1)
    assert tally.count(digest(1), 1) == first + 1
    assert file.stat().st_size == ROWS * 32


def test_a_file_that_cannot_be_used_is_named_at_start(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for file in (tmp_path, tmp_path / "none" / "bursts", tmp_path / "link"):
        with pytest.raises(BadSetting, match="MAILCHUTE_BURSTS_FILE"):
            Tally(file)


def test_two_scanners_of_one_host_see_one_campaign(dns: DnsServer, tmp_path: Path) -> None:
    settings = settings_for(dns, bursts_file=tmp_path / "bursts")
    scanners = [Scanner(settings), Scanner(settings)]
    found = []
    for number in range(12):
        content = mail(body=f"Offer {number} for you.\r\n")
        report = scanners[number % 2].scan(message(content), spam_enabled=True, threshold=5.0)
        assert report.spam is not None
        found.append("CAMPAIGN_BURST" in {symbol.name for symbol in report.spam.symbols})
    for scanner in scanners:
        scanner.close()
    assert found == [False] * 9 + [True] * 3
