"""
The tables of the control plane.

    account ─┬─ domain ── alias ─┬─ endpoint        what mail is for, and where it goes
             │                   └─ rule            domain_rule: for all aliases of a domain
             ├─ email ── delivery ── attempt         what became of it
             └─ member · api_key · block_entry · storage_connection · kept_answer · audit_entry
    plan · usage     what an account may, what it used      meta   salt, key check
    event            the ids of the facts already told      account_event   what an account may follow
    replay           runs over many mails, and how far each has come
"""

from __future__ import annotations

from mailchute.tables.account import (
    account,
    api_key,
    audit_entry,
    block_entry,
    kept_answer,
    member,
    meta,
    plan,
    storage_connection,
    usage,
)
from mailchute.tables.columns import Instant, metadata
from mailchute.tables.log import account_event, attempt, delivery, email, event, replay
from mailchute.tables.routing import alias, domain, domain_rule, endpoint, rule

__all__ = [
    "Instant",
    "account",
    "account_event",
    "alias",
    "api_key",
    "attempt",
    "audit_entry",
    "block_entry",
    "delivery",
    "domain",
    "domain_rule",
    "email",
    "endpoint",
    "event",
    "kept_answer",
    "member",
    "meta",
    "metadata",
    "plan",
    "replay",
    "rule",
    "storage_connection",
    "usage",
]
