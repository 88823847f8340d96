"""
What parse costs in CPU: `.venv/bin/python -m bench.parse_cpu [--profile KIND]`.

Host and worker together, without S3 and without HTTP; the mails are the ones the whole bench sends.
"""

from __future__ import annotations

import cProfile
import gc
import itertools
import pstats
import sys
import time
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import cast

from mailchute import wire
from mailchute.alias import AliasSnapshot, EndpointSnapshot
from mailchute.envelope import Envelope, Path
from mailchute.mail import MailObject
from mailchute.parsed import ParseRequest
from mailchute.settings import S3Settings
from mailchute.verdicts import ScanReport

from bench.mails import Kind, Writer
from functions.parse.draft import finished
from functions.parse.parser import Parser
from functions.parse.settings import Settings, WorkerSettings
from functions.parse.worker import draft_of

COUNTS: dict[Kind, int] = {"small": 3_000, "newsletter": 400, "large": 200, "huge": 40}
BUDGET_MS: dict[Kind, float] = {"small": 0.7, "newsletter": 5.0, "huge": 50.0}
WARM_UP_COUNT = 20
NO_STORAGE = S3Settings(endpoint="", bucket="", access_key="", secret_key="", region="us-east-1")


def request_of(content: bytes) -> bytes:
    """Return the mail as the connector hands it over."""
    mail = MailObject(
        id="msg_01JD5W00000000000000000000",
        envelope=Envelope(
            reverse_path=Path("news", "sender.test"),
            forward_path=Path("support", "inbox.test"),
            client_ip="192.0.2.1",
            helo="mx.sender.test",
        ),
        alias=AliasSnapshot(
            account_id="acc_1",
            domain_id="dom_1",
            alias_id="als_1",
            address="support@inbox.test",
            endpoints=(EndpointSnapshot(id="end_1"),),
        ),
        received_at=datetime(2026, 11, 21, tzinfo=UTC),
        content=content,
        fingerprint="0" * 64,
        size_octets=len(content),
    )
    return wire.encode(ParseRequest(mail=mail, report=ScanReport()))


def mails_of(kind: Kind, count: int) -> list[bytes]:
    """Return `count` requests, no two alike."""
    writer = Writer(seed=7)
    kinds = itertools.repeat(kind, count)
    return [request_of(mail.octets) for mail in writer.mails("parse", kinds, "support@inbox.test")]


def cpu_s_of(pid: int) -> float:
    """Return the CPU time that the process has used (proc(5): schedstat counts nanoseconds)."""
    return int(FilePath(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def measured_ms(kind: Kind, count: int) -> tuple[float, float]:
    """Return CPU milliseconds per mail: of the host, and of the worker."""
    parser = Parser(Settings(worker=WorkerSettings(), worker_count=1, s3=NO_STORAGE))
    parser.start()
    try:
        requests = mails_of(kind, min(count, 50))
        for request in itertools.islice(itertools.cycle(requests), WARM_UP_COUNT):
            parser.parse(request)
        (pid,) = parser.worker_pids()
        gc.collect()
        ours, theirs = time.process_time(), cpu_s_of(pid)
        for request in itertools.islice(itertools.cycle(requests), count):
            parser.parse(request)
        host_s, worker_s = time.process_time() - ours, cpu_s_of(pid) - theirs
    finally:
        parser.stop()
    return host_s / count * 1e3, worker_s / count * 1e3


def profile(kind: Kind) -> None:
    """Print where a worker spends its time."""
    requests = mails_of(kind, 20)
    settings = WorkerSettings()
    profiler = cProfile.Profile()
    for number, request in enumerate(itertools.islice(itertools.cycle(requests), COUNTS[kind])):
        if number == WARM_UP_COUNT:
            profiler.enable()
        wire.encode(finished(draft_of(wire.decode(request, ParseRequest), settings)))
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(30)


def main() -> None:
    if "--profile" in sys.argv:
        profile(cast("Kind", sys.argv[-1]))
        return
    print("CPU ms per mail       host   worker    both   budget")
    for kind, count in COUNTS.items():
        host_ms, worker_ms = measured_ms(kind, count)
        budget = f"{BUDGET_MS[kind]:6.1f}" if kind in BUDGET_MS else "     –"
        print(f"{kind:<18} {host_ms:7.3f}  {worker_ms:7.3f} {host_ms + worker_ms:7.3f}   {budget}")


if __name__ == "__main__":
    main()
