"""How much memory a mail may take, and what is set aside for it before it comes in."""

from __future__ import annotations

from dataclasses import dataclass

from mailchute.objects import CHUNK_OCTETS, WINDOW

BATCH_MAX_OCTETS = 4 * 1024 * 1024  # content of all recipients of one transaction that goes inline
SURPLUS_OCTETS = 1_024  # what a client may be wrong in SIZE before its mail becomes an object


@dataclass(frozen=True)
class Room:
    """One transaction's share of memory."""

    held_octets: int  # content beyond this goes to the Object Store while it arrives
    window: int  # chunks on their way to one object at once
    small_octets: int  # what a mail takes that stays under held_octets
    big_octets: int  # what one takes that does not, beside what it held when that showed

    @property
    def reserved_octets(self) -> int:
        return max(self.small_octets, self.big_octets)


def room_of(declared_octets: int | None, recipient_count: int, *, content_limit_octets: int) -> Room:
    """
    Return what to set aside.

    Args:
        declared_octets: SIZE of MAIL; None when the client did not say, and it may be anything.
        content_limit_octets: What a stream message may carry.
    """
    held = min(content_limit_octets, BATCH_MAX_OCTETS // recipient_count)
    is_surely_small = declared_octets is not None and declared_octets + SURPLUS_OCTETS <= held
    if is_surely_small:
        held = (declared_octets or 0) + SURPLUS_OCTETS
    window = max(1, WINDOW // recipient_count)
    # In pieces and joined; for each recipient encoded, and once more in the connection's buffer.
    small = held * (2 + 2 * recipient_count)
    # Per object what is on its way, what waits to go, and once more in the connection's buffer.
    big = 2 * held + recipient_count * (2 * window + 1) * CHUNK_OCTETS
    return Room(held, window, small, 0 if is_surely_small else big)
