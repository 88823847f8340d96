"""`mailchute endpoints`: where mail goes, with which secret, and whether it may."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
import sqlalchemy as sa
from mailchute.commands import Command
from mailchute.delivery import AttemptOutcome
from mailchute.errors import BadSetting
from mailchute.ids import new_id
from mailchute.installation import open_sealer
from mailchute.store import audit, trials
from mailchute.store.endpoints import enable_endpoint
from mailchute.store.listing import EndpointView, list_endpoints

from .control import Control, on_installation, opened
from .door import Door
from .table import AS_JSON, cell, show, show_json

ENDPOINTS_MAX_COUNT = 100_000
ANSWER_CHARACTERS = 1_000
HINT_CHARACTERS = 60  # in a list; all of it stands in `show`


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
        (e.id, e.address, e.url, e.format, state_of(e), hint_of(e)[:HINT_CHARACTERS])
        + ((e.secret,) if show_secrets else ())
        for e in found
    ]
    heads = ("id", "address", "url", "format", "state", "hint") + (("secret",) if show_secrets else ())
    show(heads, rows, nothing="no endpoint yet: `mailchute routes apply FILE` makes them")


@endpoints.command("show")
@click.argument("endpoint_id")
@AS_JSON
@on_installation
def show_one(endpoint_id: str, as_json: bool, data: Path | None) -> None:
    """Show one endpoint: what it is set to, how it fares, and what to do about it."""
    with opened(data) as control, control.database.read() as connection:
        found = list_endpoints(connection, control.account_id(connection), only=endpoint_id)
    if not found:
        raise unknown(endpoint_id)
    if as_json:
        show_json({"endpoint": found[0]})
        return
    one = found[0]
    facts = (
        *((name, getattr(one, name)) for name in ("id", "address", "url", "format", "created_at")),
        ("include", ", ".join(one.include)),
        ("rate", f"{one.rate_per_s:g} a second at most" if one.rate_per_s else "as fast as it answers"),
        ("state", state_of(one)),
        ("last delivered", one.succeeded_at),
        ("last failed", one.failed_at),
        ("hint", hint_of(one)),
    )
    for name, value in facts:
        print(f"{name.replace('_', ' '):16}{cell(value)}")


def state_of(one: EndpointView) -> str:
    """Return in a few words whether mail goes there."""
    if one.disabled_at:
        return f"disabled: {one.disabled_reason}"
    if one.wants_challenge and not one.verified_at:
        return "not verified"
    if one.failing_since:
        return f"failing since {cell(one.failing_since)}"
    return "enabled"


def hint_of(one: EndpointView) -> str:
    """Return what its owner can do for it; "" when all is well."""
    if one.wants_challenge and not one.verified_at:
        return f"nothing is sent before `mailchute endpoints verify {one.id}` succeeds"
    if one.disabled_at or one.failing_since:
        return one.failed_reason or ""
    return ""


@endpoints.command()
@click.argument("endpoint_id")
@on_installation
def enable(endpoint_id: str, data: Path | None) -> None:
    """Let mail go to an endpoint again, after a 410, five days of failing, or `disable`."""
    _set(endpoint_id, data, is_enabled=True)


@endpoints.command()
@click.argument("endpoint_id")
@on_installation
def disable(endpoint_id: str, data: Path | None) -> None:
    """Let no mail go to an endpoint; what comes meanwhile is dead, and replayable."""
    _set(endpoint_id, data, is_enabled=False)


@endpoints.command()
@click.argument("endpoint", metavar="ENDPOINT_ID|URL")
@AS_JSON
@on_installation
def test(endpoint: str, as_json: bool, data: Path | None) -> None:
    """POST a sample mail there, signed like any other, and show what came of it."""
    with opened(data) as control:
        with control.database.read() as connection:
            account_id = control.account_id(connection)
            endpoint_id = _id_of(connection, account_id, endpoint)
            order = trials.sample_order(connection, account_id, endpoint_id, now=datetime.now(UTC))
        if order is None:
            raise unknown(endpoint_id)
        outcome = _tried(control, order, Door(data), "endpoint.test")
    _show_outcome(outcome, as_json=as_json)


@endpoints.command()
@click.argument("endpoint", metavar="ENDPOINT_ID|URL")
@AS_JSON
@on_installation
def verify(endpoint: str, as_json: bool, data: Path | None) -> None:
    """POST a challenge there; when the answer echoes it, mail may go there."""
    door = Door(data)
    with opened(data) as control:
        with control.database.read() as connection:
            account_id = control.account_id(connection)
            endpoint_id = _id_of(connection, account_id, endpoint)
        outcome = _tried(control, trials.challenge_order(endpoint_id), door, "endpoint.verify")
        if outcome.result == "delivered":
            with control.database.write() as connection:
                trials.note_verified(connection, account_id, endpoint_id, now=datetime.now(UTC))
            door.carry_out(Command(id=new_id("cmd"), kind="kick", endpoint_id=endpoint_id))
    _show_outcome(outcome, as_json=as_json)


def _tried(control: Control, order: Command, door: Door, action: str) -> AttemptOutcome:
    outcome = door.carry_out(order).outcome
    if outcome is None:
        raise BadSetting("the connector is of an older release: it knows no tests")
    with control.database.write() as connection:
        audit.note(
            connection, account_id=control.account_id(connection), now=datetime.now(UTC), actor=audit.CLI,
            action=action, object_id=order.endpoint_id or "", detail=outcome.result,
        )  # fmt: skip
    return outcome


def _show_outcome(outcome: AttemptOutcome, *, as_json: bool) -> None:
    """Print it; a command that was not delivered ends with 1."""
    answer = outcome.response.decode(errors="replace")
    if as_json:
        show_json({"outcome": msgspec.structs.asdict(outcome) | {"response": answer}})
    else:
        status = f"HTTP {outcome.status}" if outcome.status is not None else "no answer"
        print(f"{outcome.result}: {status} after {outcome.duration_s:.3f} s")
        if outcome.reason:
            print(f"{'hint':16}{cell(outcome.reason)}")
        if answer:
            print(f"{'its answer':16}{cell(answer[:ANSWER_CHARACTERS])}")
    if outcome.result != "delivered":
        raise SystemExit(1)


def _id_of(connection: sa.Connection, account_id: str, endpoint: str) -> str:
    """Return the id of the endpoint that is named by it or by its URL."""
    if not endpoint.startswith(("http://", "https://")):
        if not list_endpoints(connection, account_id, only=endpoint):
            raise unknown(endpoint)
        return endpoint
    known = list_endpoints(connection, account_id, limit=ENDPOINTS_MAX_COUNT)
    found = [one.id for one in known if one.url == endpoint]
    if not found:
        raise BadSetting(f"{endpoint}: no endpoint has this URL; `mailchute endpoints list` shows them")
    if len(found) > 1:
        raise BadSetting(f"{endpoint}: several endpoints have this URL: {', '.join(found)}; name one")
    return found[0]


def _set(endpoint_id: str, data: Path | None, *, is_enabled: bool) -> None:
    now = datetime.now(UTC)
    word = "enable" if is_enabled else "disable"
    with opened(data) as control, control.database.write() as connection:
        account_id = control.account_id(connection)
        if not enable_endpoint(
            connection, account_id=account_id, endpoint_id=endpoint_id, is_enabled=is_enabled, now=now
        ):
            raise unknown(endpoint_id)
        audit.note(
            connection, account_id=account_id, now=now, actor=audit.CLI,
            action=f"endpoint.{word}", object_id=endpoint_id,
        )  # fmt: skip
    print(f"{endpoint_id} is {word}d")


def unknown(endpoint_id: str) -> BadSetting:
    return BadSetting(f"{endpoint_id}: no such endpoint; `mailchute endpoints list` shows them")
