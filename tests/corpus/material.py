"""Where the corpus lies; what is not there is skipped with a count."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def corpus(path: str, *, cases: int | None = None) -> Path:
    """Return a file or folder of the corpus, or skip the test and say how many cases are not run."""
    folder = Path(os.environ.get("MAILCHUTE_CORPUS", ROOT.parent / "shared" / "corpus"))
    found = folder / path
    if not found.exists():
        pytest.skip(f"{found} is not there: {cases if cases is not None else 'its'} cases not run")
    return found
