"""Every operation there is."""

from __future__ import annotations

from . import (
    account,
    aliases,
    blocks,
    connections,
    domains,
    emails,
    endpoints,
    events,
    keys,
    listeners,
    replays,
    routing,
    rules,
    trail,
    trials,
    webhooks,
)
from .operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    *emails.OPERATIONS,
    *replays.OPERATIONS,
    *routing.OPERATIONS,
    *domains.OPERATIONS,
    *aliases.OPERATIONS,
    *rules.OPERATIONS,
    *endpoints.OPERATIONS,
    *trials.OPERATIONS,
    *listeners.OPERATIONS,
    *webhooks.OPERATIONS,
    *blocks.OPERATIONS,
    *connections.OPERATIONS,
    *keys.OPERATIONS,
    *account.OPERATIONS,
    *events.OPERATIONS,
    *trail.OPERATIONS,
)
