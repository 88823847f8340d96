"""`mailchute endpoints`: where mail goes, with which secret, and whether it may."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from mailchute.errors import BadSetting
from mailchute.installation import open_sealer
from mailchute.store import audit
from mailchute.store.endpoints import enable_endpoint
from mailchute.store.listing import list_endpoints

from .control import on_installation, opened
from .table import AS_JSON, show, show_json

ENDPOINTS_MAX_COUNT = 100_000


@click.group()
def endpoints() -> None:
    """Where mail goes, and with which secret."""


@endpoints.command("list")
@click.option("--show-secrets", is_flag=True, help="With the secrets that sign.")
@AS_JSON
@on_installation
def list_them(show_secrets: bool, as_json: bool, data: Path | None) -> None:
    """Show the endpoints there are."""
    with opened(data) as control, control.database.read() as connection:
        sealer = open_sealer(connection, control.keyring()) if show_secrets else None
        found = list_endpoints(
            connection, control.account_id(connection), limit=ENDPOINTS_MAX_COUNT, sealer=sealer
        )
    if as_json:
        show_json({"endpoints": found})
        return
    rows = [
        (e.id, e.address, e.url, e.format, f"disabled: {e.disabled_reason}" if e.disabled_at else "enabled")
        + ((e.secret,) if show_secrets else ())
        for e in found
    ]
    heads = ("id", "address", "url", "format", "state") + (("secret",) if show_secrets else ())
    show(heads, rows, nothing="no endpoint yet: `mailchute routes apply FILE` makes them")


@endpoints.command()
@click.argument("endpoint_id")
@on_installation
def enable(endpoint_id: str, data: Path | None) -> None:
    """Let mail go to an endpoint again, after a 410 or `disable`."""
    _set(endpoint_id, data, is_enabled=True)


@endpoints.command()
@click.argument("endpoint_id")
@on_installation
def disable(endpoint_id: str, data: Path | None) -> None:
    """Let no mail go to an endpoint; what comes meanwhile is dead, and replayable."""
    _set(endpoint_id, data, is_enabled=False)


def _set(endpoint_id: str, data: Path | None, *, is_enabled: bool) -> None:
    now = datetime.now(UTC)
    word = "enable" if is_enabled else "disable"
    with opened(data) as control, control.database.write() as connection:
        account_id = control.account_id(connection)
        if not enable_endpoint(
            connection, account_id=account_id, endpoint_id=endpoint_id, is_enabled=is_enabled, now=now
        ):
            raise BadSetting(f"{endpoint_id}: no such endpoint; `mailchute endpoints list` shows them")
        audit.note(
            connection, account_id=account_id, now=now, actor=audit.CLI,
            action=f"endpoint.{word}", object_id=endpoint_id,
        )  # fmt: skip
    print(f"{endpoint_id} is {word}d")
