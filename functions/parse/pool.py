"""
Workers that parse in processes of their own, so that no mail can take the host down.

A worker that hangs is killed, one that dies is noticed, and either is replaced; the caller is told.
"""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import msgspec
from mailchute.eventlog import event_log

from .frames import REQUEST, limit, receive, send
from .settings import WorkerSettings

log = event_log("parse")


class WorkerLost(Exception):
    """The worker died or was killed over this request; its text says which."""


@dataclass
class _Worker:
    pid: int
    connection: socket.socket


class Pool:
    """
    A fixed number of workers, forked before the first mail.

    Args:
        settings: What each worker is told.
        worker_count: How many mails are parsed at once.
        wall_limit_s: How long one request may take before its worker is killed.
    """

    def __init__(self, settings: WorkerSettings, *, worker_count: int, wall_limit_s: float) -> None:
        self._settings = settings
        self._wall_limit_s = wall_limit_s
        self._lock = threading.Lock()  # around the nursery: one order at a time
        self._nursery: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()  # None: a place without a worker yet
        self._worker_count = worker_count
        self.replaced_count = 0

    def start(self) -> None:
        """Fork the workers."""
        for _ in range(self._worker_count):
            self._idle.put(self._new_worker())

    def stop(self) -> None:
        """End the nursery, and with it the workers."""
        with self._lock:
            self._end_nursery()

    def worker_pids(self) -> list[int]:
        """Return the pids of the workers that are idle now."""
        return [worker.pid for worker in list(self._idle.queue) if worker is not None]

    def work(self, request: bytes) -> tuple[bytes, bytes]:
        """
        Return the frame that a worker answers, waiting for a free one.

        Raises:
            WorkerLost: The worker died over it or took too long, and was replaced.
        """
        worker = self._idle.get()
        try:
            if worker is None:
                worker = self._new_worker()
            started = time.monotonic()
            try:
                send(worker.connection, REQUEST, request)
                frame = receive(worker.connection)
            except BlockingIOError as error:
                raise WorkerLost("timeout") from error
            except OSError as error:
                raise WorkerLost("died") from error
            if frame is None:
                raise WorkerLost("timeout" if self._used_up(time.monotonic() - started) else "died")
        except BaseException:
            self._discard(worker)
            worker = None
            raise
        finally:
            self._idle.put(worker)
        return frame

    def _used_up(self, duration_s: float) -> bool:
        """Say whether a worker that died after so long was killed by its CPU limit."""
        return duration_s >= self._settings.cpu_limit_s * 0.9

    def _new_worker(self) -> _Worker:
        ours, theirs = socket.socketpair()
        limit(ours, self._wall_limit_s)
        try:
            with self._lock:
                control = self._control or self._start_nursery()
                try:
                    socket.send_fds(control, [b"+"], [theirs.fileno()])
                    pid = control.recv(4, socket.MSG_WAITALL)
                except OSError:
                    pid = b""
                if len(pid) < 4:
                    self._end_nursery()
                    raise WorkerLost("no worker could be started")
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return _Worker(int.from_bytes(pid), ours)

    def _discard(self, worker: _Worker | None) -> None:
        if worker is None:
            return
        worker.connection.close()
        self.replaced_count += 1
        with self._lock:
            if self._control is not None:
                try:
                    self._control.sendall(b"-" + worker.pid.to_bytes(4))
                except OSError:
                    self._end_nursery()

    def _start_nursery(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._nursery = subprocess.Popen(  # noqa: S603 - our own module, no shell
            [
                sys.executable,
                "-m",
                f"{__package__}.worker",
                str(theirs.fileno()),
                msgspec.json.encode(self._settings).decode(),
            ],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        theirs.close()
        self._control = ours
        return ours

    def _end_nursery(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._nursery is not None:
            self._nursery.kill()
            self._nursery.wait()
            self._nursery = None
