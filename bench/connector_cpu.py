"""
What one mail costs the connector in CPU: `python -m bench.connector_cpu [mails] [--profile]`.

A real nats-server, functions that answer at once from a process of their own, 5 KB mails waiting on
MAIL. Printed: ms of CPU per mail of the connector and of nats-server, mails per second, how many
values rode in a call.
"""

from __future__ import annotations

import asyncio
import cProfile
import multiprocessing
import os
import pstats
import sys
import tempfile
import time
from pathlib import Path

import uvloop
from aiohttp import web
from connector.pipeline import Pipeline
from mailchute import subjects, wire
from mailchute.jetstream import Publisher, connect
from mailchute.journal import Recorded
from mailchute.parsed import MailSummary, ParseAnswer
from mailchute.verdicts import Auth, ScanReport, Spam

from tests.servers.nats import NatsServer
from tests.unit.connector.rooms import Functions, mail_for, outcome, running, settings_for

CONTENT = (b"Subject: bench\r\n\r\n" + b"x" * 70 + b"\r\n") * 57  # 5 KB
PAYLOAD = b'{"text":"' + b"x" * 6_000 + b'"}'
ANSWERS = {
    "scan": ScanReport(
        auth=Auth(),
        spam=Spam(is_spam=False, score=0, threshold=5, probability=0.1, engine="builtin", action="x"),
    ),
    "parse": ParseAnswer(
        decision="deliver",
        payload=PAYLOAD,
        summary=MailSummary(message_id="<a@b>", recipient="r@inbox.test", subject="s", size_octets=5_000),
    ),
    "deliver": outcome(),
    "record": Recorded(new_count=1),
}


def serve(port: multiprocessing.Queue[int]) -> None:
    """The functions: each answers every value with the same."""
    bodies = {name: wire.encode(answer) for name, answer in ANSWERS.items()}

    async def handle(request: web.Request) -> web.StreamResponse:
        body = bodies[request.match_info["name"]]
        octets = await request.read()
        if request.content_type != wire.BATCH:
            return web.Response(body=body)
        count = len(wire.decode(octets, list[bytes]))
        answers = b"".join(wire.encode([index, 200, body, None]) for index in range(count))
        return web.Response(body=answers, content_type=wire.BATCH)

    async def main() -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.add_routes([web.post("/function/{name}", handle)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port.put(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


async def run(mails: int, home: Path, port: int) -> None:
    server = NatsServer(home)
    server.start()
    try:
        functions = Functions(url=f"http://127.0.0.1:{port}")
        settings = settings_for(server, functions, streams_max_octets=1024**3)
        async with running(settings):
            pass
        client = await connect(server.url, name="bench")
        publisher = Publisher(client)
        for start in range(0, mails, 200):
            await asyncio.gather(
                *(
                    publisher.publish(
                        subjects.MAIL_ACCEPTED,
                        wire.encode(mail_for(f"end_{number % 7}", content=CONTENT)),
                        stream=subjects.MAIL,
                    )
                    for number in range(start, min(mails, start + 200))
                )
            )
        nats_before, cpu_before, started = _cpu_s(server.pid), time.process_time(), time.monotonic()
        async with running(settings) as pipeline:
            await _done(pipeline, publisher, mails)
            took_s = time.monotonic() - started
            cpu_s, nats_s = time.process_time() - cpu_before, _cpu_s(server.pid) - nats_before
            print(f"{mails} mails, {mails / took_s:.0f}/s")
            print(f"connector {1_000 * cpu_s / mails:.3f} ms CPU a mail")
            print(f"nats-server {1_000 * nats_s / mails:.3f} ms CPU a mail")
            for function in pipeline.functions.values():
                print(
                    f"{function.name}: {function.value_count / max(1, function.call_count):.1f} values a call"
                )
            print("lanes", list(pipeline.lanes.lanes))
        await client.close()
    finally:
        server.kill9()


async def _done(pipeline: Pipeline, publisher: Publisher, mails: int) -> None:
    deliver, record = pipeline.functions["deliver"], pipeline.functions["record"]
    pulls = pipeline.pulls.values()
    while (  # noqa: ASYNC110
        deliver.value_count < mails or record.waiting_count or any(pull.in_hand_count for pull in pulls)
    ):
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    mails = int(next((each for each in sys.argv[1:] if each.isdigit()), "3000"))
    queue: multiprocessing.Queue[int] = multiprocessing.Queue()
    child = multiprocessing.Process(target=serve, args=(queue,), daemon=True)
    child.start()
    with tempfile.TemporaryDirectory() as home, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if "--profile" in sys.argv:
            profile = cProfile.Profile()
            profile.runcall(runner.run, run(mails, Path(home), queue.get()))
            pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        else:
            runner.run(run(mails, Path(home), queue.get()))
    child.kill()


if __name__ == "__main__":
    main()
