"""`mailchute emails` and `mailchute attempts`: what became of each mail."""

from __future__ import annotations

from pathlib import Path

import click
from mailchute.errors import BadSetting
from mailchute.store import mails

from .control import on_installation, opened
from .table import AS_JSON, cell, show, show_json


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
    """Show one mail and its deliveries."""
    with opened(data) as control, control.database.read() as connection:
        account_id = control.account_id(connection)
        found = mails.mail_of(connection, account_id, mail_id)
        deliveries = mails.list_deliveries(connection, account_id, mail_id=mail_id, limit=1_000)
    if found is None:
        raise _unknown(mail_id)
    if as_json:
        show_json({"email": found, "deliveries": deliveries})
        return
    for name in found.__struct_fields__:
        if name != "attachments":
            print(f"{name.replace('_', ' '):16}{cell(getattr(found, name))}")
    for one in found.attachments:
        print(f"{'attachment':16}{cell(one.filename)} {one.content_type} {one.size_octets} octets")
    print()
    show(
        ("delivery", "endpoint", "state", "attempts", "last", "reason"),
        [
            (d.id, d.endpoint_id, d.state, d.attempt_count, d.last_status, d.dead_reason or d.last_reason)
            for d in deliveries
        ],
        nothing="no delivery",
    )


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


def _unknown(mail_id: str) -> BadSetting:
    return BadSetting(f"{mail_id}: no such mail; `mailchute emails list` shows the newest")
