"""`mailchute replay` and `mailchute kick`: what the connector is asked to do, by its command door."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from pathlib import Path

import click
import msgspec
from mailchute import wire
from mailchute.commands import Command, CommandDone
from mailchute.errors import BadSetting, MailchuteError
from mailchute.ids import new_id
from mailchute.settings import Reader
from mailchute.store import mails

from .control import DATA, on_installation, opened
from .home import Home

TIMEOUT_S = 30.0
HOST = "127.0.0.1"


@click.command()
@click.argument("mail_id")
@click.option("--endpoint", "endpoint_id", metavar="ENDPOINT_ID", help="To this endpoint only.")
@on_installation
def replay(mail_id: str, endpoint_id: str | None, data: Path | None) -> None:
    """Deliver a mail anew, as if it had just come."""
    with opened(data) as control, control.database.read() as connection:
        mail = mails.mail_of(connection, control.account_id(connection), mail_id)
    if mail is None or mail.mail_sequence is None:
        raise BadSetting(f"{mail_id} is no mail of this installation; `mailchute emails list` shows them")
    order = Command(
        id=new_id("run"),
        kind="replay",
        mail_id=mail_id,
        mail_sequence=mail.mail_sequence,
        endpoint_id=endpoint_id,
    )
    carry_out(order, data)
    print(f"{mail_id} goes out again, as run {order.id}")


@click.command()
@click.argument("endpoint_id")
@on_installation
def kick(endpoint_id: str, data: Path | None) -> None:
    """Retry now what waits for an endpoint: it is back."""
    carry_out(Command(id=new_id("cmd"), kind="kick", endpoint_id=endpoint_id), data)
    print(f"what waits for {endpoint_id} is tried now")


def carry_out(order: Command, data: Path | None) -> CommandDone:
    """
    Return once the connector has done it.

    Raises:
        BadSetting: There is no connector, or it refuses.
    """
    url, token = _door(data)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": wire.JSON}
    request = urllib.request.Request(f"{url}/commands", wire.encode_json(order), headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return wire.decode_json(answer.read(), CommandDone)
    except urllib.error.HTTPError as error:
        raise BadSetting(f"{order.kind}: {_reason(error.read()) or error.code}") from None
    except (OSError, MailchuteError):
        raise BadSetting(f"the connector at {url} does not answer: is `mailchute up` running?") from None


def _door(data: Path | None) -> tuple[str, str]:
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
