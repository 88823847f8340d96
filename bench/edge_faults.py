"""
The edge under faults, more of them than the tests have time for:

  python -m bench.edge_faults --kills 300    kill -9 at random moments under load: nothing lost, nothing twice
  python -m bench.edge_faults --big 200x25   so many mails of so many MiB at once; how far memory grows
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
KILLS = "tests/ingress/test_kills.py"
BIG = "tests/ingress/test_faults.py::test_many_big_mails_at_once_stay_within_the_memory_set_for_them"


def main() -> int:
    """Run what was asked for, and return pytest's exit code: 0 when nothing was lost and nothing grew."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--kills", type=int, help="how often a process is killed")
    options.add_argument("--big", metavar="NxMIB", help="how many mails at once, and of how many MiB")
    given = options.parse_args()
    if not given.kills and not given.big:
        options.error("expected --kills or --big")
    status = 0
    if given.kills:
        status |= _run(KILLS, EDGE_KILLS=str(given.kills))
    if given.big:
        status |= _run(BIG, EDGE_BIG_MAILS=given.big, NATS_ROOM="32GB")
    return status


def _run(test: str, **environ: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", "--timeout=0", "-p", "no:cacheprovider", test],
        cwd=ROOT,
        env={**os.environ, **environ},
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
