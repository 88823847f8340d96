"""`mailchute domains`: the DNS records that each domain needs, and whether they are there."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import click
import sqlalchemy as sa
from mailchute.domain_check import checked
from mailchute.domain_records import Record, is_verified
from mailchute.errors import BadSetting
from mailchute.installation import establish
from mailchute.resolver import Resolver
from mailchute.routes.values import check_domain
from mailchute.settings import DnsSettings, Reader
from mailchute.store import audit
from mailchute.store.accounts import ensure_account
from mailchute.store.domain_checks import CheckedDomain, find_domain, keep_check, list_checked
from mailchute.store.domain_needs import prepare
from mailchute.store.domains import create_domain
from mailchute.zone_file import bind_of, terraform_of

from .control import Control, on_installation, opened
from .table import AS_JSON, show, show_json

NOT_READY = 3  # the exit code of `verify` while a record that is needed is not there
MARKS = {
    "ok": click.style("✓", fg="green"),
    "unchecked": click.style("·", dim=True),
    "temperror": click.style("?", fg="yellow"),
}
EXPECTED_CHARACTERS = 80  # in the table; other formats have all of it
BAD_MARK = click.style("✗", fg="red")
NAME = click.argument("name")


@click.group(short_help="The DNS records each domain needs, checked.")
def domains() -> None:
    """The DNS records that each domain needs, and whether they are there."""


@domains.command(short_help="Take mail for a domain; show its records.")
@NAME
@AS_JSON
@on_installation
def add(name: str, as_json: bool, data: Path | None) -> None:
    """Take mail for the domain NAME, and show the records to set. Its aliases come from routes or the API."""
    with opened(data) as control:
        wanted = _name(name)
        with control.database.write() as connection:
            now = datetime.now(UTC)
            account_id = ensure_account(connection, now=now)
            if find_domain(connection, account_id, wanted) is None:
                domain_id = create_domain(
                    connection, account_id=account_id, name=wanted, requires_tls=False, now=now
                )
                audit.note(
                    connection, account_id=account_id, now=now, actor=audit.CLI, action="domain.add",
                    object_id=domain_id, detail=wanted,
                )  # fmt: skip
        one = _prepared(control, name)
    _show(one, as_json)


@domains.command("list", short_help="Show the domains and their state.")
@AS_JSON
@on_installation
def list_them(as_json: bool, data: Path | None) -> None:
    """Show the domains there are, and how their records were found the last time."""
    with opened(data) as control, control.database.read() as connection:
        found = list_checked(connection, control.account_id(connection))
    if as_json:
        show_json({"domains": found})
        return
    show(
        ("domain", "state", "records", "checked"),
        [(one.name, state_of(one), _count(one.records), one.checked_at) for one in found],
        nothing="no domain yet: `mailchute domains add inbox.example`, or a routes file",
    )


@domains.command("show", short_help="Show the records as they were found.")
@NAME
@AS_JSON
@on_installation
def show_one(name: str, as_json: bool, data: Path | None) -> None:
    """Show each record of a domain as it was found the last time; asks nobody."""
    with opened(data) as control, control.database.read() as connection:
        one = _found(connection, control.account_id(connection), name)
    _show(one, as_json)


@domains.command(short_help="Look the records up now.")
@click.argument("names", nargs=-1, metavar="[NAME]…")
@AS_JSON
@on_installation
def verify(names: tuple[str, ...], as_json: bool, data: Path | None) -> None:
    """
    Look the records up now: of the domains named, or of all.

    Exits with 0 when all that is needed is there, with 3 when not.
    """
    resolver = Resolver(_dns())
    with opened(data) as control:
        found = [_verified(control, resolver, name) for name in names or _all(control)]
    if as_json:
        show_json({"domains": found})
    for one in found if not as_json else ():
        _show(one, as_json=False)
    if not all(is_verified(one.records) for one in found):
        raise SystemExit(NOT_READY)


@domains.command()
@NAME
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "bind", "json", "terraform"]),
    default="table",
    show_default=True,
    help="terraform: resources of hashicorp/dns.",
)
@click.option("--zone", help="terraform: the zone they lie in; without it, the domain itself.")
@on_installation
def records(name: str, kind: str, zone: str | None, data: Path | None) -> None:  # fmt: skip
    """Show the records to set, in a form to paste."""
    with opened(data) as control:
        one = _prepared(control, name)
    if kind == "bind":
        print(bind_of(one.records), end="")
    elif kind == "terraform":
        print(terraform_of(one.records, zone=_zone(one.name, zone)), end="")
    else:
        _show(one, as_json=kind == "json")


def state_of(one: CheckedDomain) -> str:
    """Return one word about a domain."""
    if not one.records or one.checked_at is None:
        return "unchecked"
    return "verified" if is_verified(one.records) else "incomplete"


def _prepared(control: Control, name: str) -> CheckedDomain:
    hostname = _hostname()
    with control.database.write() as connection:
        one = _found(connection, control.account_id(connection), name)
        sealer = establish(connection, control.keyring())
        return prepare(connection, one, hostname=hostname, sealer=sealer, now=datetime.now(UTC))


def _verified(control: Control, resolver: Resolver, name: str) -> CheckedDomain:
    one = _prepared(control, name)
    found = checked(one.records, resolver, datetime.now(UTC))
    with control.database.write() as connection:
        keep_check(connection, one, found, now=datetime.now(UTC), actor=audit.CLI)
        return _found(connection, one.account_id, name)


def _all(control: Control) -> list[str]:
    with control.database.read() as connection:
        return [one.name for one in list_checked(connection, control.account_id(connection))]


def _found(connection: sa.Connection, account_id: str, name: str) -> CheckedDomain:
    one = find_domain(connection, account_id, _name(name))
    if one is None:
        raise BadSetting(f"{name}: no such domain; `mailchute domains list` shows them")
    return one


def _name(name: str) -> str:
    try:
        return check_domain(name)
    except ValueError as error:
        raise BadSetting(f"{name}: {error}") from None


def _zone(name: str, zone: str | None) -> str:
    base = name.removeprefix("*.")
    wanted = base if zone is None else zone.lower().rstrip(".")
    if base != wanted and not base.endswith(f".{wanted}"):
        raise BadSetting(f"--zone {zone}: {base} does not lie in it")
    return wanted


def _hostname() -> str:
    hostname = Reader(os.environ).text("MAILCHUTE_HOSTNAME") or socket.getfqdn()
    if "." not in hostname:
        raise BadSetting(
            f"set MAILCHUTE_HOSTNAME to the name mail comes in by, such as mx.inbox.example: {hostname!r} "
            "is none that others could find"
        )
    return hostname.lower().rstrip(".")


def _dns() -> DnsSettings:
    reader = Reader(os.environ)
    settings = DnsSettings.read(reader)
    reader.check()
    return settings


def _count(found: tuple[Record, ...]) -> str:
    return f"{sum(one.state == 'ok' for one in found)} of {len(found)}" if found else ""


def _show(one: CheckedDomain, as_json: bool) -> None:
    if as_json:
        show_json(one)
        return
    when = f"checked {one.checked_at:%Y-%m-%d %H:%M:%S}Z" if one.checked_at else "not checked yet"
    click.echo(f"\n{click.style(one.name, bold=True)}  {state_of(one)}, {when}")
    width = max((len(each.name) for each in one.records), default=0)
    for title, is_required in (("needed", True), ("advised", False)):
        listed = [each for each in one.records if each.is_required == is_required]
        if listed:
            click.echo(click.style(f"  {title}", dim=True))
        for each in listed:
            _show_record(each, width)
    if not one.records:
        click.echo("  `mailchute domains records` works out what it needs")


def _show_record(one: Record, width: int) -> None:
    expected = one.expected if len(one.expected) <= EXPECTED_CHARACTERS else f"{one.expected[:40]}…"
    kind = click.style(f"{one.type:<5}", fg="cyan")
    click.echo(f"  {MARKS.get(one.state, BAD_MARK)} {one.name:<{width}}  {kind}  {expected}")
    if one.state not in ("ok", "unchecked"):
        found = f"found {', '.join(one.found)}" if one.found and one.state != "temperror" else ""
        told = "; ".join(filter(None, (one.reason, found)))
        click.echo(click.style(f"    {one.state}{': ' if told else ''}{_printable(told)}", dim=True))


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
