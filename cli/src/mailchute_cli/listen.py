"""`mailchute listen`: the mail of an alias comes to a program on this machine, which nobody can reach."""

from __future__ import annotations

import contextlib
import re
import signal
import threading
from collections.abc import Iterator
from typing import get_args

import click
import msgspec
from mailchute.alias import Format
from mailchute.errors import BadSetting, MailchuteError

from .forwarding import Forwarder, Injected, Told
from .rest import Api, ApiAway
from .table import cell

WORKERS = 2  # of each address: one asks while the other waits for the program
WAIT_S = 20
AWAY_S = 2.0  # after the API did not answer
FAIL = re.compile(r"([2-5]\d\d)x(\d{1,6})")


@click.command(short_help="Bring webhooks to a program on this machine.")
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS…")
@click.option(
    "--forward",
    required=True,
    metavar="URL",
    help="Where each webhook is POSTed: http://localhost:3000/hook.",
)
@click.option(
    "--api",
    "api_url",
    metavar="URL",
    envvar="MAILCHUTE_API",
    default="http://127.0.0.1:8080",
    show_default=True,
    help="Where the REST API is; or MAILCHUTE_API.",
)
@click.option(
    "--key",
    envvar="MAILCHUTE_API_KEY",
    required=True,
    help="Of `mailchute keys create`; or MAILCHUTE_API_KEY.",
)
@click.option(
    "--fail", multiple=True, metavar="STATUSxCOUNT", help="503x3: the first three are answered 503, unseen."
)
@click.option("--format", "kind", type=click.Choice(get_args(Format)), default="native", show_default=True)
@click.option(
    "--forget", is_flag=True, help="Take the endpoint away at the end: nothing waits for the next time."
)
def listen(
    addresses: tuple[str, ...],
    forward: str,
    api_url: str,
    key: str,
    fail: tuple[str, ...],
    kind: str,
    forget: bool,
) -> None:
    """
    POST the webhooks of each ADDRESS, an alias as its owner wrote it, to a program on this machine.

    They are signed as ever, and what the program answers counts: 2xx is delivered, all else comes again by
    the schedule. What comes while nobody listens waits by the schedule too, and is tried at once when you
    listen again. Ctrl-C ends it.
    """
    api = Api(api_url, key)
    forwarder = Forwarder(forward, Injected(failures_of(fail)))
    listeners = [api.call("POST", "/listeners", {"address": each, "format": kind}) for each in addresses]
    for one in listeners:
        click.echo(f"{click.style(one['address'], bold=True)}  signed with {one['secret']}")
    click.echo(f"{click.style('listening', fg='green', bold=True)}  POSTs to {forward}; Ctrl-C ends it")
    for which in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs begin with SIGINT ignored
        signal.signal(which, signal.default_int_handler)
    ending = threading.Event()
    failures: list[BadSetting] = []
    threads = [
        threading.Thread(target=_work, args=(api, forwarder, one, ending, failures), daemon=True)
        for one in listeners
        for _ in range(WORKERS)
    ]
    for thread in threads:
        thread.start()
    _retry_now(api, listeners)
    try:
        ending.wait()
    except KeyboardInterrupt:
        ending.set()
    for one in listeners:
        if forget:
            api.call("DELETE", f"/endpoints/{one['endpointId']}")
        else:
            _leave(api, one)
    if failures:
        raise failures[0]


def failures_of(texts: tuple[str, ...]) -> Iterator[int]:
    """
    Return the statuses to answer with, one after the other.

    Raises:
        BadSetting: One is not like 503x3.
    """
    for text in texts:
        if not FAIL.fullmatch(text):
            raise BadSetting(f"--fail {text}: expected a status and how often, such as 503x3")
    found = (FAIL.fullmatch(text) for text in texts)
    return iter([int(one[1]) for one in found if one for _ in range(int(one[2]))])


def _leave(api: Api, listener: dict[str, str]) -> None:
    """Say that nobody waits any more: what comes now is told so at once."""
    with contextlib.suppress(MailchuteError, BadSetting):
        api.call("POST", f"/endpoints/{listener['endpointId']}/calls/leave")


def _retry_now(api: Api, listeners: list[dict[str, str]]) -> None:
    """Have what waited for this endpoint tried at once; without it, it comes by the schedule."""
    for one in listeners:
        try:
            api.call("POST", f"/endpoints/{one['endpointId']}/kick")
        except MailchuteError as error:
            click.echo(
                f"{click.style('!', fg='yellow')} what waits is tried by the schedule: {error}", err=True
            )


def _work(
    api: Api,
    forwarder: Forwarder,
    listener: dict[str, str],
    ending: threading.Event,
    failures: list[BadSetting],
) -> None:
    path = f"/endpoints/{listener['endpointId']}/calls"
    while not ending.is_set():
        try:
            call = api.call("POST", f"{path}/next", {"waitS": WAIT_S})["call"]
            if call is None:
                continue
            told = forwarder.forward(call)
            click.echo(_line(listener["address"], told))
            api.call("POST", f"{path}/answer", {"callId": call["id"], **told.answer})
        except ApiAway as error:
            click.echo(f"{click.style('!', fg='yellow')} {error}; asking again", err=True)
            ending.wait(AWAY_S)
        except BadSetting as error:
            if "nobody waits for this answer" in str(error):
                click.echo(f"{click.style('!', fg='yellow')} that answer came too late: {error}", err=True)
                continue
            failures.append(error)  # the key was revoked, the endpoint taken away
            ending.set()
        except (KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
            failures.append(BadSetting(f"the API answers in a way this release does not know: {error!r}"))
            ending.set()


def _line(address: str, told: Told) -> str:
    colour = "green" if 200 <= told.status < 300 else "red"
    status = click.style(str(told.status), fg=colour, bold=True)
    note = f"  {click.style(told.note, dim=True)}" if told.note else ""
    took = f"{told.took_s * 1000:.0f} ms"
    return f"{told.at:%H:%M:%S}  {address}  {cell(told.subject)[:60]}  → {status} in {took}{note}"
