"""The heap of a process that serves: what it began with stays, and is looked through no more."""

from __future__ import annotations

import gc

# A mail makes trees and few cycles: by Python's own numbers (700, 10, 10) a connector under load spends a
# sixth of its CPU on looking for some. What cycles may hold until then is some MB.
THRESHOLDS = (10_000, 20, 50)


def settle() -> None:
    """Call once everything is imported and built."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
