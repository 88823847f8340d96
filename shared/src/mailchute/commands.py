"""What api asks the connector to do with a stream: POST /commands."""

from __future__ import annotations

from typing import Literal

import msgspec


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One order, repeatable by its id."""

    id: str  # cmd_… or run_…: the same id does the same work once
    kind: Literal["replay", "erase", "kick", "resume"]
    mail_id: str | None = None  # replay, erase
    mail_sequence: int | None = None  # replay, erase: where it lies on MAIL
    endpoint_id: str | None = None  # replay to one endpoint only; kick and resume: which lane


class CommandDone(msgspec.Struct, frozen=True, kw_only=True):
    """The order is carried out, or safely on a stream."""

    id: str
    repeated: bool = False  # it had been carried out before
