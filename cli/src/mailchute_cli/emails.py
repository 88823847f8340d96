"""`mailchute emails` and `mailchute attempts`: what became of each mail."""

from __future__ import annotations

import os
from pathlib import Path

import click
from mailchute.errors import BadSetting
from mailchute.schedule import GAPS_S
from mailchute.settings import Reader
from mailchute.store import mails
from mailchute.store.listing import list_endpoints

from .control import on_installation, opened
from .history import told
from .table import AS_JSON, show, show_json

ENDPOINTS_MAX_COUNT = 100_000


@click.group()
def emails() -> None:
    """What became of each mail."""


@emails.command("list")
@click.option("--state", type=click.Choice(mails.STATES), help="Only mails in this state.")
@click.option("--limit", type=click.IntRange(1, mails.PAGE_MAX_COUNT), default=20, show_default=True)
@click.option("--before", metavar="MAIL_ID", help="Go on after this mail of the page before.")
@AS_JSON
@on_installation
def list_emails(state: str | None, limit: int, before: str | None, as_json: bool, data: Path | None) -> None:
    """Show mails, the newest first."""
    with opened(data) as control, control.database.read() as connection:
        found = mails.list_mails(
            connection, control.account_id(connection), state=state, before=before, limit=limit
        )
    if as_json:
        show_json({"emails": found})
        return
    show(
        ("id", "state", "accepted", "recipient", "subject", "octets"),
        [(m.id, m.state, m.accepted_at, m.recipient, (m.subject or "")[:60], m.size_octets) for m in found],
        nothing="no mail yet",
    )


@emails.command("show")
@click.argument("mail_id")
@AS_JSON
@on_installation
def show_email(mail_id: str, as_json: bool, data: Path | None) -> None:
    """Show one mail, where it went, and every attempt in the order they were made."""
    with opened(data) as control, control.database.read() as connection:
        account_id = control.account_id(connection)
        found = mails.mail_of(connection, account_id, mail_id)
        deliveries = mails.list_deliveries(connection, account_id, mail_id=mail_id, limit=1_000)
        made = mails.attempts_of(connection, account_id, mail_id)
        known = list_endpoints(connection, account_id, limit=ENDPOINTS_MAX_COUNT)
    if found is None:
        raise _unknown(mail_id)
    if as_json:
        show_json({"email": found, "deliveries": deliveries, "attempts": made})
        return
    for line in told(found, deliveries, made, urls={one.id: one.url for one in known}, gaps_s=_gaps_s()):
        print(line)


@click.command()
@click.argument("mail_id")
@AS_JSON
@on_installation
def attempts(mail_id: str, as_json: bool, data: Path | None) -> None:
    """Show every attempt made for one mail, in order."""
    with opened(data) as control, control.database.read() as connection:
        account_id = control.account_id(connection)
        if mails.mail_of(connection, account_id, mail_id) is None:
            raise _unknown(mail_id)
        found = mails.attempts_of(connection, account_id, mail_id)
    if as_json:
        show_json({"attempts": found})
        return
    show(
        ("began", "endpoint", "attempt", "result", "status", "took", "reason"),
        [
            (a.started_at, a.endpoint_id, a.number, a.result, a.status, f"{a.duration_s:.3f} s", a.reason)
            for a in found
        ],
        nothing="no attempt yet",
    )


def _gaps_s() -> tuple[float, ...]:
    reader = Reader(os.environ)
    gaps_s = reader.gaps("MAILCHUTE_RETRY_SCHEDULE", GAPS_S)
    reader.check()
    return gaps_s


def _unknown(mail_id: str) -> BadSetting:
    return BadSetting(f"{mail_id}: no such mail; `mailchute emails list` shows the newest")
