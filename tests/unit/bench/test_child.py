"""What the bench starts comes up, or says why not, and goes when the bench goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.child import ROOT, NotReady, running

WAIT = "import time; print('ready', flush=True); time.sleep(60)"


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def test_it_is_stopped_at_the_end_of_the_block(tmp_path: Path) -> None:
    with running([sys.executable, "-c", WAIT], tmp_path / "log") as process:
        assert process.poll() is None
    assert process.poll() is not None


@pytest.mark.parametrize(
    ("code", "words"), [("raise SystemExit(3)", "ended with 3"), ("import time; time.sleep(60)", "not ready")]
)
def test_one_that_does_not_come_up_says_so(tmp_path: Path, code: str, words: str) -> None:
    with (
        pytest.raises(NotReady, match=words),
        running([sys.executable, "-c", code], tmp_path / "log", timeout_s=1.0),
    ):
        pass


def test_a_killed_bench_leaves_nothing_behind(tmp_path: Path) -> None:
    code = f"""if True:
        import sys, time
        from pathlib import Path
        from bench.child import running
        with running([sys.executable, "-c", {WAIT!r}], Path({str(tmp_path)!r}) / "log") as process:
            print(process.pid, flush=True)
            time.sleep(60)
    """
    bench = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert bench.stdout is not None
    pid = int(bench.stdout.readline())
    os.kill(bench.pid, signal.SIGKILL)
    bench.wait()
    bench.stdout.close()
    while not is_gone(pid):
        time.sleep(0.01)
