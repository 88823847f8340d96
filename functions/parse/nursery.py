"""The host's end of the process that forks workers: started, asked for workers, told to end them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading

import msgspec

from .settings import WorkerSettings


class NoWorker(Exception):
    """No worker could be started now."""


class Nursery:
    """
    Starts and ends workers; safe to be called by many threads.

    Args:
        settings: What each worker is told.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()  # one order at a time
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def new_worker(self, connection: socket.socket) -> int:
        """
        Fork a worker that serves this end of a connection; return its pid.

        Raises:
            NoWorker: The nursery is gone; the next call starts another.
        """
        with self._lock:
            control = self._control or self._start()
            try:
                socket.send_fds(control, [b"+"], [connection.fileno()])
                pid = control.recv(4, socket.MSG_WAITALL)
            except OSError:
                pid = b""
            if len(pid) < 4:
                self._end()
                raise NoWorker
        return int.from_bytes(pid)

    def end_worker(self, pid: int) -> None:
        """Kill the worker, if it still lives, and reap it."""
        with self._lock:
            if self._control is not None:
                try:
                    self._control.sendall(b"-" + pid.to_bytes(4))
                except OSError:
                    self._end()

    def stop(self) -> None:
        """End the nursery, and with it the workers."""
        with self._lock:
            self._end()

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
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

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
