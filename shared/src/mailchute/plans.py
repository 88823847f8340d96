"""
What a plan allows, as data: limits where a number stands, features where a permission is named.

An account without a plan has no limits and every feature: that is a self-hoster's. There is no billing
here: a plan is set by who runs the installation (`mailchute accounts set-plan`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from mailchute.alias import RETENTION_S

RETENTION_MAX_S = 365 * 86_400

Permission = Literal[
    "spam.analysis",  # without it no mail of its aliases is scored
    "webhooks.signing",  # without it POSTs carry no signature
    "storage.s3",  # without it large attachments are left out, and it has no bucket of its own
    "retention.custom",  # without it the retention is the plan's
    "compliance.data_residency",  # product text 3
]


def allows(permissions: Iterable[str] | None, permission: Permission) -> bool:
    """Return whether a plan with these permissions allows it; None is no plan, which allows everything."""
    return permissions is None or permission in permissions


class Plan(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One plan; None is no limit."""

    name: str
    permissions: tuple[Permission, ...] = ()
    mails_per_month: int | None = None
    aliases_max: int | None = None
    size_max_octets: int | None = None
    retention_s: int = RETENTION_S  # what its accounts begin with
    retention_max_s: int = RETENTION_S
