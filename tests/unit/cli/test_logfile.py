"""A log turns over by size, and never stops what writes it."""

from __future__ import annotations

from pathlib import Path

from mailchute_cli.logfile import KEPT_COUNT, LogFile


def test_a_log_keeps_its_newest_files(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log", size_octets=10)
    for number in range(20):
        log.write(b"line %02d....\n" % number)
    log.write(b"last\n")
    log.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["x.log", *(f"x.log.{number}" for number in range(1, KEPT_COUNT + 1))]
    assert (tmp_path / "x.log").read_text() == "last\n"
    assert (tmp_path / "x.log.1").read_text() == "line 19....\n"


def test_a_log_goes_on_where_the_last_run_ended(tmp_path: Path) -> None:
    for text in (b"one\n", b"two\n"):
        log = LogFile(tmp_path / "x.log")
        log.write(text)
        log.close()
    assert (tmp_path / "x.log").read_text() == "one\ntwo\n"


def test_a_full_disk_loses_lines_and_nothing_else() -> None:
    log = LogFile(Path("/dev/full"))
    log.write(b"lost\n")
    log.write(b"lost too\n")
