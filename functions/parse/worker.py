"""
The process that parses: exec'd once as a nursery, it imports everything and forks workers when asked.

    python -m functions.parse.worker <control fd> <settings as JSON>

It is a process of its own, with one thread, because forking the host (which has threads) could copy
a lock that nobody will ever release. Workers die with it, and it ends when the host does.

Control, host → nursery: `+` with a socket attached (fork a worker on it), answered with its pid in
four octets; `-` and a pid in four octets (kill and reap it).
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import resource
import signal
import socket
import sys
import warnings

import msgspec
from mailchute import wire
from mailchute.errors import MailchuteError
from mailchute.eventlog import start_logging
from mailchute.parsed import ParseRequest

from .degraded import degraded
from .draft import Draft, finished
from .frames import ANSWER, DRAFT, REFUSED, FrameReader, send
from .limits import LimitExceeded
from .rehearsal import rehearsed
from .settings import WorkerSettings
from .work import parsed

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def draft_of(request: ParseRequest, settings: WorkerSettings) -> Draft:
    """Return the draft of this mail, degraded when it cannot be read; raises nothing a mail can cause."""
    if request.degraded is not None:
        return degraded(request, settings, request.degraded)
    try:
        return parsed(request, settings)
    except LimitExceeded as limit:
        return degraded(request, settings, str(limit))
    except (Exception, RecursionError, MemoryError) as error:  # noqa: BLE001 - nothing in a mail may stop it
        return degraded(request, settings, "parser", f"{type(error).__name__}: {error}"[:500])


def serve(connection: socket.socket, settings: WorkerSettings) -> None:
    """Answer requests until the host closes the connection."""
    frames = FrameReader(connection)
    while (frame := frames.read()) is not None:
        # SIGPROF kills, even inside C code. It counts CPU time, so it need not be stopped while we wait.
        signal.setitimer(signal.ITIMER_PROF, settings.cpu_limit_s)
        try:
            request = wire.decode(frame[1], ParseRequest)
        except MailchuteError:
            send(connection, REFUSED, b"")
            continue
        draft = draft_of(request, settings)
        if request.is_rehearsal:
            draft = rehearsed(draft, request)
        if draft.uploads or draft.failure is not None:
            send(connection, DRAFT, wire.encode(draft))
        else:
            send(connection, ANSWER, wire.encode(finished(draft)))


def nursery(control: socket.socket, settings: WorkerSettings) -> None:
    """Fork and kill as the host asks, until it goes away."""
    gc.freeze()  # what is imported by now stays shared between the workers
    gc.set_threshold(50_000, 20, 20)  # a mail makes trees, hardly cycles
    children: set[int] = set()
    while True:
        order, fds, _, _ = socket.recv_fds(control, 5, 1)
        if not order:
            return
        if order[:1] == b"-":
            pid = int.from_bytes(order[1:5])
            if pid in children:  # else a nursery before this one's, and dead with it
                children.discard(pid)
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)  # not reaped before: the pid cannot have become another process's
            continue
        pid = os.fork()
        if pid == 0:
            control.close()
            _become_worker(socket.socket(fileno=fds[0]), settings)
        os.close(fds[0])
        children.add(pid)
        control.sendall(pid.to_bytes(4))


def _become_worker(connection: socket.socket, settings: WorkerSettings) -> None:
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        octets = settings.memory_mib * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_AS, (octets, octets))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold mail
        serve(connection, settings)
    finally:
        os._exit(0)


def _quiet() -> None:
    """Let libraries tell nothing: what they have to say quotes the mail."""
    warnings.simplefilter("ignore")
    for name in ("mailparser", "icalendar", "tnefparse", "html_to_markdown", "markdownify"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


if __name__ == "__main__":
    import markdownify  # noqa: F401 - here, so that no worker pays for it out of a mail's time

    start_logging("parse")
    _quiet()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the host decides
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    nursery(
        socket.socket(fileno=int(sys.argv[1])), msgspec.json.decode(sys.argv[2].encode(), type=WorkerSettings)
    )
