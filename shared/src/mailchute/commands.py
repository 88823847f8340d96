"""What api and the command line ask the connector to do: POST /commands."""

from __future__ import annotations

from typing import Literal

import msgspec

from mailchute.delivery import AttemptOutcome
from mailchute.ids import derived_id, new_id
from mailchute.mail import MailObject


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One order, repeatable by its id."""

    id: str  # cmd_… or run_…: the same id does the same work once
    kind: Literal["replay", "erase", "kick", "resume", "test", "challenge"]
    mail_id: str | None = None  # replay, erase
    mail_sequence: int | None = None  # replay, erase: where it lies on MAIL
    endpoint_id: str | None = None  # replay to one endpoint only; test, challenge; kick, resume: which lane
    run: str | None = None  # replay: the run of what it makes; None: the command's id
    mail: MailObject | None = None  # test: what is sent; it is stored nowhere
    challenge: str | None = None  # challenge: what the endpoint is to echo


class CommandDone(msgspec.Struct, frozen=True, kw_only=True):
    """The order is carried out, or safely on a stream."""

    id: str
    repeated: bool = False  # it had been carried out before
    outcome: AttemptOutcome | None = None  # test, challenge: what the endpoint did; they are made each time


def replay_command(
    mail_id: str, mail_sequence: int, *, run: str | None = None, endpoint_id: str | None = None
) -> Command:
    """
    Return the order to deliver a mail anew; the same run, mail and endpoint do it once.

    Args:
        run: The run its deliveries belong to; None: one of its own.
        endpoint_id: To this endpoint alone; None: to all of the alias's.
    """
    run = run or new_id("run")
    return Command(
        id=derived_id("cmd", "replay", run, mail_id, endpoint_id or ""),
        kind="replay",
        mail_id=mail_id,
        mail_sequence=mail_sequence,
        endpoint_id=endpoint_id,
        run=run,
    )
