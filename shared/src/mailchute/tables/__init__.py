"""
The tables of the control plane.

    account ─┬─ domain ── alias ─┬─ endpoint        what mail is for, and where it goes
             │                   └─ rule
             ├─ email ── delivery ── attempt         what became of it
             └─ member · api_key · block_entry · storage_connection · audit_entry
    plan    what an account may                      meta   salt, key check
    event   the ids of the facts already told
"""

from __future__ import annotations

from mailchute.tables.account import (
    account,
    api_key,
    audit_entry,
    block_entry,
    member,
    meta,
    plan,
    storage_connection,
)
from mailchute.tables.columns import Instant, metadata
from mailchute.tables.log import attempt, delivery, email, event
from mailchute.tables.routing import alias, domain, endpoint, rule

__all__ = [
    "Instant",
    "account",
    "alias",
    "api_key",
    "attempt",
    "audit_entry",
    "block_entry",
    "delivery",
    "domain",
    "email",
    "endpoint",
    "event",
    "member",
    "meta",
    "metadata",
    "plan",
    "rule",
    "storage_connection",
]
