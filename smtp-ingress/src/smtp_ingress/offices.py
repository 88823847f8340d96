"""Says at the start which of our domains have nobody behind postmaster@ and abuse@."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mailchute.errors import DirectoryUnavailable
from mailchute.eventlog import EventLog

from smtp_ingress.recipients import Recipients

AGAIN_S = 30.0  # after the database did not answer
NAMED_MAX_COUNT = 20  # in one line of the log


async def tell_unattended(
    recipients: Recipients, *, log: EventLog, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Warn once, as soon as the database answers; a domain without them is against RFC 5321, 4.5.1."""
    while True:
        try:
            missing = await recipients.unattended()
            break
        except DirectoryUnavailable:
            await sleep(AGAIN_S)
    if not missing:
        return
    named = [f"{name} ({', '.join(offices)})" for name, offices in sorted(missing.items())]
    log.warning(
        "no-postmaster",
        count=len(named),
        reason=f"nobody takes mail for these: {'; '.join(named[:NAMED_MAX_COUNT])}"
        + (f"; and {len(named) - NAMED_MAX_COUNT} more" if len(named) > NAMED_MAX_COUNT else "")
        + ". Give them an alias, or set MAILCHUTE_POSTMASTER_ALIAS to one that exists",
    )
