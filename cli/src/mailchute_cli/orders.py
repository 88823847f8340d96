"""`mailchute replay` and `mailchute kick`: deliver stored mail anew, and retry now."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
import sqlalchemy as sa
from mailchute.commands import Command, replay_command
from mailchute.errors import BadSetting, ContentMissing, TransientError
from mailchute.ids import new_id
from mailchute.replaying import RATE_MAX_PER_S, RATE_PER_S, Replaying
from mailchute.store import audit, mails, replays
from mailchute.store.listing import list_aliases, list_endpoints
from mailchute.store.replays import AnotherSelection, ReplayView, Selection

from .control import Control, on_installation, opened
from .door import Door
from .table import AS_JSON, show, show_json

ALIASES_MAX_COUNT = 100_000
RUN = re.compile(r"run_[0-9A-HJKMNP-TV-Z]{26}")


def _moment(_context: click.Context, _option: click.Parameter, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time; write 2026-11-20 or 2026-11-20T14:00+01:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.command()
@click.argument("mail_id", required=False)
@click.option("--from", "since", callback=_moment, metavar="TIME", help="Mails accepted then or later (UTC).")
@click.option("--to", "until", callback=_moment, metavar="TIME", help="Mails accepted before.")
@click.option("--alias", metavar="ADDRESS", help="Mails of this alias.")
@click.option("--endpoint", "endpoint_id", metavar="ENDPOINT_ID", help="To this endpoint only.")
@click.option("--dead", "is_dead", is_flag=True, help="What is dead, to the endpoints where it is dead.")
@click.option(
    "--rate", type=click.FloatRange(0, RATE_MAX_PER_S, min_open=True), default=RATE_PER_S, show_default=True,
    help="Mails a second at most.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Count them and show the first; replay nothing.")
@click.option("--run", metavar="RUN_ID", help="Go on with this run; what it has done is not done again.")
@AS_JSON
@on_installation
def replay(
    mail_id: str | None,
    since: datetime | None,
    until: datetime | None,
    alias: str | None,
    endpoint_id: str | None,
    is_dead: bool,
    rate: float,
    dry_run: bool,
    run: str | None,
    as_json: bool,
    data: Path | None,
) -> None:
    """Deliver mail anew, as if it had just come: one mail, or all that the options choose together."""
    if run is not None and not RUN.fullmatch(run):
        raise BadSetting(f"--run {run}: no run's id, which is `run_` and 26 characters")
    is_many = bool(since or until or alias or is_dead or (endpoint_id and not mail_id))
    with opened(data) as control:
        if mail_id is not None and not is_many:
            _replay_one(control, mail_id, endpoint_id, run, data, as_json=as_json)
            return
        if mail_id is not None:
            raise BadSetting("name a mail, or choose many; not both")
        if not is_many and run is None:
            raise BadSetting("name a mail, or choose with --from, --to, --alias, --endpoint or --dead")
        with control.database.write() as connection:
            selection = Selection(
                since=since,
                until=until,
                alias_id=_alias_id(connection, control, alias),
                endpoint_id=_endpoint_id(connection, control, endpoint_id),
                state="dead" if is_dead else None,
            )
            if dry_run:
                _look(connection, control, selection, as_json=as_json)
                return
            begun = _begun(connection, control, None if not is_many else selection, run, rate)
        _go_on(control, begun, Door(data), as_json=as_json)


def _replay_one(
    control: Control,
    mail_id: str,
    endpoint_id: str | None,
    run: str | None,
    data: Path | None,
    *,
    as_json: bool,
) -> None:
    with control.database.read() as connection:
        mail = mails.mail_of(connection, control.account_id(connection), mail_id)
    if mail is None or mail.mail_sequence is None:
        raise BadSetting(f"{mail_id} is no mail of this installation; `mailchute emails list` shows them")
    order = replay_command(mail_id, mail.mail_sequence, run=run, endpoint_id=endpoint_id)
    done = Door(data).carry_out(order)
    _note(control, "email.replay", mail_id, order.run or "")
    if as_json:
        show_json({"run": order.run, "repeated": done.repeated})
    else:
        print(f"{mail_id} {'went' if done.repeated else 'goes'} out again, as run {order.run}")


def _begun(
    connection: sa.Connection, control: Control, selection: Selection | None, run: str | None, rate: float
) -> ReplayView:
    account_id = control.account_id(connection)
    if selection is None:
        found = replays.run_of(connection, account_id, run or "")
        if found is None:
            raise BadSetting(f"--run {run}: there is no such run to go on with")
        return found
    now = datetime.now(UTC)
    try:
        begun, is_new = replays.begin(
            connection, account_id, selection, run=run or new_id("run"), rate_per_s=rate, now=now
        )
    except AnotherSelection as error:
        raise BadSetting(str(error)) from None
    if is_new:
        audit.note(
            connection, account_id=account_id, now=now, actor=audit.CLI, action="replay.begin",
            object_id=begun.run or "", detail=f"{begun.total_count} mails",
        )  # fmt: skip
    return begun


def _go_on(control: Control, run: ReplayView, door: Door, *, as_json: bool) -> None:
    def push(order: Command) -> bool:
        try:
            door.carry_out(order)
        except (ContentMissing, BadSetting):
            return False  # gone meanwhile, or never for this endpoint
        return True

    try:
        with _progress(run, is_quiet=as_json) as progress:
            Replaying(database=control.database, push=push).work(run, progress)
    except (TransientError, KeyboardInterrupt) as error:
        raise BadSetting(
            f"left: {error or 'stopped'}; go on with `mailchute replay --run {run.run}`"
        ) from None
    with control.database.read() as connection:
        done = replays.run_of(connection, control.account_id(connection), run.run or "") or run
    if as_json:
        show_json({"replay": done})
        return
    gone = f"; {done.refused_count} were gone" if done.refused_count else ""
    print(f"{done.done_count} of {done.total_count} mails went out again, as run {done.run}{gone}")


@contextmanager
def _progress(run: ReplayView, *, is_quiet: bool) -> Iterator[Callable[[int], None]]:
    """Yield what is told of each step: a bar on a terminal, else nothing."""
    if is_quiet or not sys.stderr.isatty():
        yield lambda _count: None
        return
    print(f"run {run.run}", file=sys.stderr)
    with click.progressbar(length=run.total_count, label="replayed", show_pos=True, file=sys.stderr) as bar:
        bar.update(run.done_count)
        yield bar.update


def _look(connection: sa.Connection, control: Control, selection: Selection, *, as_json: bool) -> None:
    count, sample = replays.look(connection, control.account_id(connection), selection, now=datetime.now(UTC))
    if as_json:
        show_json({"totalCount": count, "sample": sample})
        return
    print(f"{count} mails would go out again{', the first of them:' if sample else ''}")
    rows = [(one.id, one.state, one.accepted_at, one.recipient, (one.subject or "")[:60]) for one in sample]
    if rows:
        show(("id", "state", "accepted", "recipient", "subject"), rows, nothing="")


def _alias_id(connection: sa.Connection, control: Control, address: str | None) -> str | None:
    if address is None:
        return None
    known = list_aliases(connection, control.account_id(connection), limit=ALIASES_MAX_COUNT)
    for one in known:
        if address in (one.id, one.address):
            return one.id
    raise BadSetting(f"{address}: no such alias; it is named as in the routes file, or by its id")


def _endpoint_id(connection: sa.Connection, control: Control, endpoint_id: str | None) -> str | None:
    if endpoint_id is not None and not list_endpoints(
        connection, control.account_id(connection), only=endpoint_id
    ):
        raise BadSetting(f"{endpoint_id}: no such endpoint; `mailchute endpoints list` shows them")
    return endpoint_id


@click.command()
@click.argument("endpoint_id")
@on_installation
def kick(endpoint_id: str, data: Path | None) -> None:
    """Retry now what waits for an endpoint: it is back."""
    with opened(data) as control:
        with control.database.read() as connection:
            _endpoint_id(connection, control, endpoint_id)
        Door(data).carry_out(Command(id=new_id("cmd"), kind="kick", endpoint_id=endpoint_id))
        _note(control, "endpoint.kick", endpoint_id)
    print(f"what waits for {endpoint_id} is tried now")


def _note(control: Control, action: str, object_id: str, detail: str = "") -> None:
    with control.database.write() as connection:
        audit.note(
            connection, account_id=control.account_id(connection), now=datetime.now(UTC), actor=audit.CLI,
            action=action, object_id=object_id, detail=detail,
        )  # fmt: skip
