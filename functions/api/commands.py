"""The connector's command door, from the API's side."""

from __future__ import annotations

from typing import Protocol

import urllib3
from mailchute import wire
from mailchute.commands import Command, CommandDone
from mailchute.errors import MailchuteError

from .problem import Problem

TIMEOUT_S = 10.0
TRIAL_TIMEOUT_S = 60.0  # a test or challenge waits for the endpoint (MAILCHUTE_WEBHOOK_TIMEOUT: 60 at most)
CONNECTIONS = 16  # as many threads replay at once
RETRY_AFTER_S = 2


class Connector(Protocol):
    """Carries out commands."""

    def carry_out(self, command: Command) -> CommandDone:
        """
        Return once it is done, or safely on a stream.

        Raises:
            Problem: 410 the mail is gone; 409 it cannot be done; 503 not now: ask again.
        """


class CommandDoor:
    """The connector over HTTP: POST /commands with the internal token."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._pool = urllib3.PoolManager(
            maxsize=CONNECTIONS, retries=False, timeout=urllib3.Timeout(connect=2, read=TIMEOUT_S)
        )

    def carry_out(self, command: Command) -> CommandDone:
        if not self._url:
            raise Problem(503, "no connector is configured: set MAILCHUTE_CONNECTOR_URL")
        read_s = TRIAL_TIMEOUT_S if command.kind in ("test", "challenge") else TIMEOUT_S
        try:
            answer = self._pool.request(
                "POST",
                f"{self._url}/commands",
                body=wire.encode(command),
                headers={"Authorization": f"Bearer {self._token}", "Content-Type": wire.MSGPACK},
                redirect=False,
                timeout=urllib3.Timeout(connect=2, read=read_s),
            )
            if answer.status == 200:
                return wire.decode(answer.data, CommandDone)
        except (urllib3.exceptions.HTTPError, MailchuteError):
            raise _not_now() from None
        if answer.status == 404:
            raise Problem(410, "the mail is gone: its retention has ended, or it was erased")
        if answer.status == 422:
            raise Problem(409, _reason(answer.data) or "the order cannot be carried out")
        raise _not_now()


def _reason(body: bytes) -> str:
    try:
        return str(wire.decode_json(body, dict[str, str]).get("error", ""))
    except MailchuteError:
        return ""


def _not_now() -> Problem:
    return Problem(503, "the mail flow does not answer: try again", retry_after_s=RETRY_AFTER_S)
