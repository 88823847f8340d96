"""A mail system under measurement: ours or a peer."""

from __future__ import annotations

from bench.processes import Cpu

RECIPIENT = "support@inbox.test"


class System:
    """What the bench needs of a system: where to send, and what it has spent."""

    name: str
    version: str
    smtp_port: int

    def cpu(self) -> Cpu:
        """Return the CPU seconds its processes spent so far, by name."""
        raise NotImplementedError
