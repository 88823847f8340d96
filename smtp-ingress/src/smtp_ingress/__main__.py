"""`python -m smtp_ingress`: serve until SIGTERM; SIGHUP rereads certificate and block list."""

from __future__ import annotations

import asyncio
import signal
import sys

import uvloop
from mailchute.errors import BadSetting, StreamUnavailable
from mailchute.eventlog import EventLog, start_logging

from smtp_ingress.board import Board, Row
from smtp_ingress.processes import Processes
from smtp_ingress.server import serve
from smtp_ingress.settings import Settings

ENDED = 1  # exit code: start it again
BAD_SETTING = 2  # exit code: a person has to change something first


def main() -> int:
    """Return the exit code."""
    try:
        settings = Settings.read()
    except BadSetting as error:
        sys.stderr.write(f"{error}\n")
        return BAD_SETTING
    log = start_logging("smtp-ingress", level=settings.log_level)
    board = Board(settings.processes)

    def run(own: Settings, number: int) -> int:
        return _run(own, board.row(number), log)

    try:
        if settings.processes == 1:
            return run(settings, 0)
        return Processes(settings, board, run, log).supervise()
    except OSError as error:
        sys.stderr.write(
            f"MAILCHUTE_SMTP is '{settings.host}:{settings.port}': "
            f"expected an address that can be listened on ({error.strerror})\n"
        )
        return BAD_SETTING


def _run(settings: Settings, row: Row, log: EventLog) -> int:
    try:
        uvloop.run(_until_stopped(settings, row, log))
    except BadSetting as error:
        sys.stderr.write(f"{error}\n")
        return BAD_SETTING
    except StreamUnavailable as error:
        log.error("ended", reason=str(error))
        return ENDED
    return 0


async def _until_stopped(settings: Settings, row: Row, log: EventLog) -> None:
    stop, reread = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reread.set)
    await serve(settings, row, log, stop=stop, reread=reread)


if __name__ == "__main__":
    sys.exit(main())
