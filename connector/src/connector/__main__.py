"""`python -m connector`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys

import aiohttp
import uvloop
from mailchute import heap
from mailchute.errors import BadSetting, StreamUnavailable
from mailchute.eventlog import EventLog, start_logging
from mailchute.jetstream import connect
from mailchute.settings import Reader

from connector.door import Door
from connector.pipeline import Pipeline
from connector.settings import Settings
from connector.streams import assert_streams, check_durability

RETRY_S = 1.0


async def serve(settings: Settings, log: EventLog) -> int:
    """Run until told to stop; returns the exit status."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stopping.set)
    door = Door(settings)
    await door.open()
    log.info("listening", port=door.port)
    running = asyncio.ensure_future(_run(settings, door, log))
    stopped = asyncio.ensure_future(stopping.wait())
    await asyncio.wait((running, stopped), return_when=asyncio.FIRST_COMPLETED)
    running.cancel()
    try:
        await running
    except asyncio.CancelledError:
        return 0
    except BadSetting as error:
        log.error("bad-setting", reason=str(error))
        return 2
    finally:
        stopped.cancel()
        await door.close()
    return 1


async def _run(settings: Settings, door: Door, log: EventLog) -> None:
    client = await connect(settings.nats.url, name="connector")
    try:
        while True:
            try:
                await check_durability(settings, log)
                await assert_streams(client, settings)
                break
            except StreamUnavailable as error:
                log.warning("streams-not-ready", reason=str(error))
                await asyncio.sleep(RETRY_S)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4)
        async with aiohttp.ClientSession(connector=connector) as session:
            pipeline = Pipeline(client, session, settings)
            heap.settle()
            door.show(pipeline)
            log.info("ready")
            running = asyncio.ensure_future(pipeline.run())
            try:
                while not client.is_closed:
                    await asyncio.wait((running,), timeout=RETRY_S)
                    if running.done():
                        running.result()
                log.error("nats-closed", reason=str(client.last_error))
            finally:
                door.hide()
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running
    finally:
        with contextlib.suppress(Exception):
            await client.close()


def main() -> int:
    try:
        settings = Settings.read(Reader(os.environ))
    except BadSetting as error:
        print(error, file=sys.stderr)  # noqa: T201 - for a person, before there is a log
        return 2
    log = start_logging("connector", level=settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve(settings, log))


if __name__ == "__main__":
    sys.exit(main())
