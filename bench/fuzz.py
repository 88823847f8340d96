"""The fuzzers of the tests, with new chance each round, for as long as you like: `make fuzz`."""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
FUZZERS = (
    "tests/unit/parse/test_hostile.py::test_no_structure_brings_the_parser_down_or_loses_the_mail",
    "tests/unit/parse/test_hostile.py::test_no_octets_bring_the_parser_down",
    "tests/unit/parse/test_hostile.py::test_every_word_of_every_part_arrives_whatever_the_structure",
    "tests/unit/shared/test_parts.py::test_any_octets_have_parts",
    "tests/unit/shared/test_author.py::test_nothing_raises_and_only_one_mailbox_is_ever_trusted",
    "tests/ingress/test_fuzz.py",
)
SEED_BITS = 32
TIMES = 10  # what the tests do once; to start what is fuzzed costs more than to fuzz it
FAILED = 1  # exit code; pytest's, for tests that failed


def main() -> int:
    """Run rounds until the time is over or one finds something; return the exit code."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=10.0, help="a round that began is ended (10)")
    options.add_argument("--seed", type=int, help="one round with this seed: what was found, again")
    options.add_argument("--only", default="", help="fuzzers whose name has this, such as ingress")
    given = options.parse_args()
    ends_at = time.monotonic() + given.minutes * 60
    rounds = 0
    while rounds == 0 or (given.seed is None and time.monotonic() < ends_at):
        seed = secrets.randbits(SEED_BITS) if given.seed is None else given.seed
        status, told = fuzz(seed, only=given.only)
        rounds += 1
        sys.stdout.write(f"round {rounds}, seed {seed}: {told.strip().splitlines()[-1]}\n")
        sys.stdout.flush()
        if status:
            sys.stdout.write(f"{told}\nagain: .venv/bin/python -m bench.fuzz --seed {seed}\n")
            return FAILED
    return 0


def fuzz(seed: int, *, only: str = "") -> tuple[int, str]:
    """Return pytest's exit status and what it said."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--timeout=0",
            f"--hypothesis-seed={seed}",
            *(each for each in FUZZERS if only in each),
        ],
        cwd=ROOT,
        env={**os.environ, "FUZZ_SEED": str(seed), "FUZZ_TIMES": str(TIMES)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
