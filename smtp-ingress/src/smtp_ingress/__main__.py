"""`python -m smtp_ingress`: read the settings, serve until SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import sys

import uvloop
from mailchute.errors import BadSetting
from mailchute.eventlog import EventLog, start_logging

from smtp_ingress.server import serve
from smtp_ingress.settings import Settings

BAD_SETTING = 2


def main() -> int:
    """Return the exit code."""
    try:
        settings = Settings.read()
    except BadSetting as error:
        sys.stderr.write(f"{error}\n")
        return BAD_SETTING
    log = start_logging("smtp-ingress", level=settings.log_level)
    try:
        uvloop.run(_serve(settings, log))
    except OSError as error:
        sys.stderr.write(f"MAILCHUTE_SMTP is {settings.host}:{settings.port}: {error.strerror}\n")
        return BAD_SETTING
    return 0


async def _serve(settings: Settings, log: EventLog) -> None:
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    serving = asyncio.ensure_future(serve(settings, stop, log))
    stopping = asyncio.ensure_future(stop.wait())
    # Before NATS is reached there is nothing to drain.
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    await serving


if __name__ == "__main__":
    sys.exit(main())
