"""Children that work, die, refuse, hang and leave grandchildren, as real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from mailchute_cli.program import Program
from mailchute_cli.screen import Screen
from mailchute_cli.supervisor import StartFailed, Supervisor, ending_of

WRITES_ITS_PID = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); "
WORKS = WRITES_ITS_PID + "time.sleep(60)"
WITHIN_S = 30.0


class Stage:
    """Programs that write their process ids into files of a folder, and a supervisor's screen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.heard: list[tuple[str, bytes]] = []

    def program(self, name: str, code: str = WORKS, **changes: Any) -> Program:
        async def is_ready() -> bool:
            return bool(self.pids(name))

        given: dict[str, Any] = {
            "name": name,
            "command": (sys.executable, "-S", "-c", code, str(self.folder / name)),
            "environ": dict(os.environ),
            "is_ready": is_ready,
            "stage": 0,
        }
        return Program(**{**given, **changes})

    def supervisor(self, *programs: Program) -> Supervisor:
        return Supervisor(
            programs,
            screen=Screen(self.lines.append),
            heard=lambda program, lines: self.heard.append((program.name, lines)),
        )

    def pids(self, name: str) -> list[int]:
        try:
            return [int(line) for line in (self.folder / name).read_text().split()]
        except FileNotFoundError:
            return []


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


async def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_child_that_dies_is_started_again_and_told(stage: Stage) -> None:
    async def play() -> None:
        supervisor = stage.supervisor(stage.program("a"))
        await supervisor.start()
        os.kill(stage.pids("a")[0], signal.SIGKILL)
        await until(lambda: len(stage.pids("a")) == 2)
        await until(lambda: any("is back" in line for line in stage.lines))
        assert any("a was ended by SIGKILL; it starts again in 0.2 s" in line for line in stage.lines)
        await supervisor.stop()
        assert not any(is_alive(pid) for pid in stage.pids("a"))

    run(play())


def test_the_pause_before_a_restart_doubles(stage: Stage) -> None:
    async def play() -> None:
        supervisor = stage.supervisor(stage.program("a", WRITES_ITS_PID + "time.sleep(0.1)"))
        await supervisor.start()
        await until(lambda: len(stage.pids("a")) == 4)
        pauses = [line.rpartition(" in ")[2] for line in stage.lines if "starts again" in line]
        assert pauses[:3] == ["0.2 s", "0.4 s", "0.8 s"]
        await supervisor.stop()

    run(play())


def test_a_program_waits_for_what_comes_before_it(stage: Stage) -> None:
    async def play() -> None:
        supervisor = stage.supervisor(
            stage.program("late", after=("early", "database")), stage.program("early")
        )
        starting = asyncio.create_task(supervisor.start())
        await until(lambda: stage.pids("early"))
        assert supervisor.missing()[0] == "late"
        assert stage.pids("late") == []
        supervisor.reach("database")
        await starting
        assert len(stage.pids("late")) == 1
        await supervisor.stop()

    run(play())


def test_start_does_not_wait_for_what_mail_can_do_without(stage: Stage) -> None:
    async def never() -> bool:
        return False

    async def play() -> None:
        supervisor = stage.supervisor(
            stage.program("slow", is_ready=never, is_essential=False), stage.program("a")
        )
        await supervisor.start()
        assert supervisor.missing() == ["slow"]
        await supervisor.stop()

    run(play())


@pytest.mark.parametrize(
    ("code", "starts", "said"),
    [
        (WRITES_ITS_PID + "sys.exit('MAILCHUTE_X is wrong')", 1, "MAILCHUTE_X is wrong"),
        (WRITES_ITS_PID + "1/0", 2, "ZeroDivisionError: division by zero"),
        (WRITES_ITS_PID + "os.kill(os.getpid(), 9)", 2, None),
    ],
)
def test_a_child_that_ends_before_it_ever_worked_fails_the_start(
    stage: Stage, code: str, starts: int, said: str | None
) -> None:
    """A refusal is final at once; what crashed gets one more try."""

    async def never() -> bool:
        return False

    async def play() -> None:
        supervisor = stage.supervisor(stage.program("a", code, is_ready=never), stage.program("b"))
        with pytest.raises(StartFailed) as failed:
            await supervisor.start()
        assert failed.value.program.name == "a"
        assert (failed.value.lines or (None,))[-1] == said
        assert len(stage.pids("a")) == starts
        await supervisor.stop()
        assert not any(is_alive(pid) for pid in stage.pids("b"))

    run(play())


def test_a_program_that_is_not_there_fails_the_start(stage: Stage) -> None:
    async def play() -> None:
        supervisor = stage.supervisor(stage.program("a", command=("/nowhere/at-all",)))
        with pytest.raises(StartFailed) as failed:
            await supervisor.start()
        assert failed.value.lines == ("/nowhere/at-all: No such file or directory",)
        await supervisor.stop()

    run(play())


def test_children_are_stopped_stage_by_stage(stage: Stage) -> None:
    ends = (
        "import signal; signal.signal(signal.SIGTERM, lambda *_: (open(sys.argv[1] + '.end', 'w')"
        ".write(str(time.monotonic())), os._exit(0))); "
    )

    async def play() -> None:
        code = "import os, sys, time; " + ends + WORKS
        programs = [stage.program(f"p{number}", code, stage=number) for number in (3, 1, 2)]
        supervisor = stage.supervisor(*programs)
        await supervisor.start()
        await supervisor.stop()
        times = [float((stage.folder / f"p{number}.end").read_text()) for number in (1, 2, 3)]
        assert times == sorted(times)

    run(play())


def test_a_child_that_ignores_sigterm_is_killed_with_its_own_children(stage: Stage) -> None:
    code = (
        "import signal, subprocess; signal.signal(signal.SIGTERM, signal.SIG_IGN); import os, sys; "
        "child = subprocess.Popen(['sleep', '60']); open(sys.argv[1] + '.child', 'w').write(str(child.pid)); "
    )

    async def play() -> None:
        supervisor = stage.supervisor(stage.program("a", code + WORKS, drain_s=0.3))
        await supervisor.start()
        await supervisor.stop()
        child = int((stage.folder / "a.child").read_text())
        await until(lambda: not is_alive(child))
        assert any("a did not end in" in line for line in stage.lines)

    run(play())


def test_what_a_child_says_is_heard_in_whole_lines(stage: Stage) -> None:
    code = WRITES_ITS_PID + "[print('x' * 1000, flush=True) for _ in range(200)]; print('end', end='')"

    async def play() -> None:
        supervisor = stage.supervisor(stage.program("a", code))
        await supervisor.start()
        await until(lambda: b"".join(lines for _, lines in stage.heard).endswith(b"end\n"))
        assert all(lines.endswith(b"\n") for _, lines in stage.heard)
        await supervisor.stop()

    run(play())


@pytest.mark.parametrize(
    ("status", "told"),
    [(0, "ended with status 0"), (-9, "was ended by SIGKILL"), (-77, "was ended by signal 77")],
)
def test_how_a_process_ended_is_told_in_words(status: int, told: str) -> None:
    assert ending_of(status) == told
