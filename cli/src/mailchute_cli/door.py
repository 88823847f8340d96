"""The connector's command door, from the command line's side."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from pathlib import Path

import msgspec
from mailchute import wire
from mailchute.commands import Command, CommandDone
from mailchute.errors import BadSetting, ContentMissing, MailchuteError, TransientError
from mailchute.settings import Reader

from .control import DATA
from .home import Home

TIMEOUT_S = 60.0  # a test waits for its endpoint (MAILCHUTE_WEBHOOK_TIMEOUT: 60 at most)
HOST = "127.0.0.1"


class Door:
    """
    Where orders are carried out.

    Raises:
        BadSetting: There is no installation that has one.
    """

    def __init__(self, data: Path | None) -> None:
        self._url, self._token = _where(data)

    def carry_out(self, order: Command) -> CommandDone:
        """
        Return once the connector has done it.

        Raises:
            TransientError: It does not answer, or not now.
            ContentMissing: The mail is gone.
            BadSetting: It refuses, and always will.
        """
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": wire.JSON}
        request = urllib.request.Request(  # noqa: S310
            f"{self._url}/commands", wire.encode_json(order), headers
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                return wire.decode_json(answer.read(), CommandDone)
        except urllib.error.HTTPError as error:
            reason = _reason(error.read()) or str(error.code)
            if error.code == 404:
                raise ContentMissing(reason) from None
            if error.code == 503:
                raise TransientError(f"{order.kind}: not now: {reason}") from None
            raise BadSetting(f"{order.kind}: {reason}") from None
        except (OSError, MailchuteError):
            raise TransientError(
                f"the connector at {self._url} does not answer: is `mailchute up` running?"
            ) from None


def _where(data: Path | None) -> tuple[str, str]:
    """Return the connector's URL and the internal token: the environment's, or as `up` wrote them down."""
    reader = Reader(os.environ)
    url = reader.url("MAILCHUTE_CONNECTOR_URL", "", ("http", "https")).rstrip("/")
    token = reader.secret("MAILCHUTE_INTERNAL_TOKEN")
    reader.check()
    directory = data or DATA
    home = Home(directory) if directory.is_dir() else None
    port = home.ports_known().get("connector") if home else None
    if home and port:
        url = url or f"http://{HOST}:{port}"
        token = token or home.secret("internal-token").read_text().strip()
    if not url:
        raise BadSetting(f"there is no installation in {directory}: name it with --data")
    return url, token


def _reason(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body, type=dict[str, str]).get("error", ""))
    except msgspec.MsgspecError:
        return ""
