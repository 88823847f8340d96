"""Several processes on one port: started, started again when one dies, stopped together."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import replace

from mailchute.eventlog import EventLog

from smtp_ingress.board import Board
from smtp_ingress.settings import Settings

RESTART_WAIT_S = 1.0  # a process that lived less long than this is not started again at once
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Processes:
    """
    A parent that does nothing but watch its children.

    Args:
        run: What each child does with its settings and its number; returns its exit code.
    """

    def __init__(
        self, settings: Settings, board: Board, run: Callable[[Settings, int], int], log: EventLog
    ) -> None:
        self._settings = settings
        self._board = board
        self._run = run
        self._log = log
        self._children: dict[int, tuple[int, float]] = {}  # by pid: number, when it was started
        self._is_stopping = False

    def supervise(self) -> int:
        """Return the exit code once all children have ended."""
        # Bound but not listening: it holds a free port that the children then share (SO_REUSEPORT).
        with socket.socket(socket.AF_INET6 if ":" in self._settings.host else socket.AF_INET) as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            holder.bind((self._settings.host, self._settings.port))
            settings = replace(self._settings, port=holder.getsockname()[1])
            for each in (signal.SIGTERM, signal.SIGINT):
                signal.signal(each, self._stop)
            signal.signal(signal.SIGHUP, self._pass_on)
            for number in range(settings.processes):
                self._start(settings, number)
            worst = 0
            while self._children:
                pid, status = os.wait()
                number, started_at = self._children.pop(pid)
                self._board.vacate(number)
                code = os.waitstatus_to_exitcode(status)
                if self._is_stopping:
                    worst = max(worst, abs(code))
                    continue
                self._log.error("process-ended", reason=f"number {number} with {code}")
                time.sleep(max(0.0, RESTART_WAIT_S - (time.monotonic() - started_at)))
                if not self._is_stopping:
                    self._start(settings, number)
            return worst

    def _start(self, settings: Settings, number: int) -> None:
        pid = os.fork()
        if pid:
            self._children[pid] = (number, time.monotonic())
            return
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # a parent that was killed takes us along
        code = 1
        try:
            for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(each, signal.SIG_DFL)
            code = self._run(settings, number)
        finally:
            os._exit(code)  # the parent's frames below are not ours to unwind

    def _stop(self, *_: object) -> None:
        self._is_stopping = True
        self._pass_on(signal.SIGTERM)

    def _pass_on(self, number: int, *_: object) -> None:
        for pid in self._children:
            os.kill(pid, number)
