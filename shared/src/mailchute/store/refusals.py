"""Why the control plane does not take a change that is well formed."""

from __future__ import annotations

from mailchute.errors import BadSetting


class Taken(BadSetting):
    """There is one of this name already."""


class OverPlan(BadSetting):
    """The account's plan does not allow it."""


class Needed(BadSetting):
    """Something else cannot go on without it."""
