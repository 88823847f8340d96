"""One running child: it dies with us, and what it says goes to its log."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
from collections import deque
from collections.abc import Callable

from mailchute_cli.program import Program

PR_SET_PDEATHSIG = 1  # prctl(2)
LAST_LINES = 60
PIECE_OCTETS = 64 * 1024

_libc = ctypes.CDLL(None)  # loaded before any fork


class Child:
    """
    A process of `program`.

    Args:
        inherited: Descriptors that stay open in it: the lock of the data directory.
        heard: Called with each piece of output, whole lines where it can be.
    """

    def __init__(
        self, program: Program, *, inherited: tuple[int, ...], heard: Callable[[bytes], None]
    ) -> None:
        self.program = program
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._inherited = inherited
        self._heard = heard
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def refused(self) -> bool:
        """Whether it ended by saying what a person has to change, and nothing else."""
        has_ended = self._process is not None and self._process.returncode in (1, 2)
        is_crash = any(line.startswith(("Traceback", "{")) for line in self.last_lines)
        is_early = any("in use" in line for line in self.last_lines)  # of one that is just being killed
        return has_ended and bool(self.last_lines) and not (is_crash or is_early)

    async def start(self) -> None:
        """
        Start it, in a process group of its own: a Ctrl-C is for us, who stop things in order.

        Raises:
            OSError: There is no such program.
        """
        parent = os.getpid()

        def die_with_parent() -> None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died before we asked
                os._exit(1)

        self._process = await asyncio.create_subprocess_exec(
            *self.program.command,
            env=dict(self.program.environ),
            cwd=self.program.directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            pass_fds=self._inherited,
            preexec_fn=die_with_parent,
        )
        self._listening = asyncio.create_task(self._listen())

    async def wait(self) -> int:
        """Return how it ended: its status, or minus the signal that killed it."""
        assert self._process is not None
        assert self._listening is not None
        status = await self._process.wait()
        with contextlib.suppress(TimeoutError):  # a grandchild may hold the pipe a little longer
            await asyncio.wait_for(self._listening, 1)
        return status

    def close(self) -> None:
        """Let go of its pipe once it has ended: a grandchild may hold the other end for longer."""
        if self._process is not None and self._process.returncode is not None:
            self._process._transport.close()  # type: ignore[attr-defined]

    async def stop(self) -> bool:
        """Ask it to end, and make it end when it does not; return whether asking was enough."""
        if self._process is None or self._process.returncode is not None:
            return True
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), self.program.drain_s)
        except TimeoutError:
            self.kill()
            await self._process.wait()
            return False
        return True

    def kill(self) -> None:
        """End it and whatever it started, at once."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _signal(self, which: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, which)  # Popen's own would reap it, and asyncio waits for that

    async def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        rest = b""
        while piece := await self._process.stdout.read(PIECE_OCTETS):
            whole, newline, rest = (rest + piece).rpartition(b"\n")
            if len(rest) > PIECE_OCTETS:
                whole, rest = whole + newline + rest, b""
            if whole:
                self._hear(whole + b"\n")
        if rest:
            self._hear(rest + b"\n")

    def _hear(self, lines: bytes) -> None:
        self.last_lines.extend(lines.decode(errors="replace").splitlines())
        self._heard(lines)
