"""
One worker and the requests on their way to it; it answers them in their order.

Who asks sends at once, and reads when all before have read their answers. So a worker that finishes a
request finds the next one waiting and does not fall asleep in between, and no thread but those who ask runs.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque

from .frames import REQUEST, FrameReader, send


class WorkerLost(Exception):
    """The worker died or was killed over this request; its text says which."""


class Overtaken(Exception):
    """The worker was lost over a request before this one, which is to be asked elsewhere."""


class Lane:
    """
    A worker's connection, and who waits for an answer on it.

    Args:
        pid: The worker's.
        connection: Our end of it, with a time limit.
        cpu_limit_s: After so much CPU time over one request the kernel kills the worker.
    """

    def __init__(self, pid: int, connection: socket.socket, *, cpu_limit_s: float) -> None:
        self.pid = pid
        self._connection = connection
        self._frames = FrameReader(connection)
        self._cpu_limit_s = cpu_limit_s
        self._is_lost = False
        self._sending = threading.Lock()  # frames go out whole, in the order of the turns
        self._queue = threading.Lock()  # around what follows
        self._turns: deque[threading.Lock] = deque()  # one for each request; the first is free, the rest held

    def ask(self, request: bytes) -> tuple[bytes, bytes]:
        """
        Return the frame that the worker answers.

        Raises:
            WorkerLost: The worker died over this request, or took too long.
            Overtaken: The worker was lost before it came to this request.
        """
        turn = threading.Lock()
        turn.acquire()
        with self._sending:
            with self._queue:
                self._turns.append(turn)
                if self._turns[0] is turn:
                    turn.release()
            try:
                send(self._connection, REQUEST, request)
                was_sent = True
            except OSError:  # the worker is lost, or hangs
                was_sent = False
        with turn:
            try:
                return self._answer(was_sent=was_sent)
            finally:
                self._pass_on()

    def _answer(self, *, was_sent: bool) -> tuple[bytes, bytes]:
        if self._is_lost:
            raise Overtaken
        started = time.monotonic()
        reason = "died"
        try:
            frame = self._frames.read() if was_sent else None
        except BlockingIOError:
            frame, reason = None, "timeout"
        except OSError:
            frame = None
        if frame is not None:
            return frame
        self._is_lost = True
        if time.monotonic() - started >= self._cpu_limit_s * 0.9:
            reason = "timeout"
        raise WorkerLost(reason)

    def _pass_on(self) -> None:
        with self._queue:
            self._turns.popleft()
            if self._turns:
                self._turns[0].release()
            elif self._is_lost:
                self._connection.close()
