"""What one `mailchute up` will run: which servers of our own, which of others, and where all listen."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mailchute.errors import BadSetting
from mailchute.settings import Reader

from mailchute_cli import rooms
from mailchute_cli.home import Home
from mailchute_cli.ports import becomes_free, free_port
from mailchute_cli.program import Program
from mailchute_cli.rooms import Address
from mailchute_cli.servers import S3, Nats

STREAMS_MAX_OCTETS = 8 * 1024**3  # the connector's own default
STREAMS_SHARE_OF_DISK = 0.5  # nats-server takes no stream that it could not store


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the person asked for."""

    smtp: Address
    http: Address
    is_smtp_explicit: bool  # then a busy port is an error; else another is taken
    is_http_explicit: bool
    routes: Path | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will run."""

    programs: tuple[Program, ...]
    settings: Mapping[str, str]  # MAILCHUTE_… of this installation, for every room and the database's tools
    smtp: Address
    http: Address | None  # None: the functions are others'


def plan(home: Home, request: Request, *, warn: Callable[[str], None]) -> Plan:
    """
    Decide what runs. Nothing is started yet.

    Args:
        warn: Told, a line each, what is other than asked for.

    Raises:
        BadSetting: It cannot be as asked.
    """
    rooms.check_tree()
    environ = rooms.environment()
    reader = Reader(environ)
    own_nats = None if reader.text("MAILCHUTE_NATS_URL") else Nats(home)
    own_s3 = None if _has_storage(reader) else S3(home)
    own_functions = None if reader.text("MAILCHUTE_FUNCTIONS_URL") else rooms.Functions(home)
    settings = _settings(home, reader)
    for own in (own_nats, own_s3, own_functions):
        settings |= own.settings() if own else {}
    commands = (rooms.HOST, home.ports(("connector",))["connector"])
    settings["MAILCHUTE_CONNECTOR_URL"] = f"http://{rooms.text_of(commands)}"
    reader.check()
    settings_for_all = {**environ, **settings}
    before = ("nats",) if own_nats else ()
    smtp = _listening("--smtp", request.smtp, request.is_smtp_explicit, warn)
    http = _listening("--http", request.http, request.is_http_explicit, warn, taken=smtp)
    programs = [own.program(settings_for_all) for own in (own_nats, own_s3) if own]
    if own_functions:
        programs += [*own_functions.programs(settings_for_all), own_functions.front(http, settings_for_all)]
    else:
        warn("MAILCHUTE_FUNCTIONS_URL is set: those functions are used, and nothing listens on --http")
    programs.append(rooms.connector(commands, settings_for_all, after=before))
    programs.append(rooms.ingress(smtp, settings_for_all, after=(*before, "database")))
    return Plan(programs=tuple(programs), settings=settings, smtp=smtp, http=http if own_functions else None)


def _has_storage(reader: Reader) -> bool:
    return any(reader.text(f"MAILCHUTE_S3_{name}") for name in ("ENDPOINT", "BUCKET"))


def _settings(home: Home, reader: Reader) -> dict[str, str]:
    settings: dict[str, str] = {}
    if not reader.text("MAILCHUTE_DATABASE_URL"):
        settings["MAILCHUTE_DATABASE_URL"] = home.database_url
    if not reader.text("MAILCHUTE_MASTER_KEY_FILE"):
        settings["MAILCHUTE_MASTER_KEY_FILE"] = str(home.master_key())
    if not reader.secret("MAILCHUTE_SIGNING_KEY"):
        settings["MAILCHUTE_SIGNING_KEY_FILE"] = str(home.signing_key())
    if not reader.text("MAILCHUTE_SPAM_MODEL") and home.spam_model.exists():
        settings["MAILCHUTE_SPAM_MODEL"] = str(home.spam_model)
    if not reader.text("MAILCHUTE_HOSTNAME"):  # one name for all, in trace and Authentication-Results alike
        settings["MAILCHUTE_HOSTNAME"] = socket.getfqdn()
    if not reader.secret("MAILCHUTE_INTERNAL_TOKEN"):
        if reader.text("MAILCHUTE_FUNCTIONS_URL"):
            reader.mistakes.append(
                "MAILCHUTE_FUNCTIONS_URL is set without MAILCHUTE_INTERNAL_TOKEN: "
                "expected the token those functions know, or a file with it in MAILCHUTE_INTERNAL_TOKEN_FILE"
            )
        settings["MAILCHUTE_INTERNAL_TOKEN_FILE"] = str(home.secret("internal-token"))
    if not reader.text("MAILCHUTE_NATS_URL") and not reader.text("MAILCHUTE_DISK"):
        settings["MAILCHUTE_DISK"] = str(home.directory)  # ours writes there: 452 before it is full
    if not reader.text("MAILCHUTE_STREAMS_MAX_OCTETS"):
        room_octets = int(shutil.disk_usage(home.directory).free * STREAMS_SHARE_OF_DISK)
        settings["MAILCHUTE_STREAMS_MAX_OCTETS"] = str(min(STREAMS_MAX_OCTETS, room_octets))
    return settings


def _listening(
    option: str,
    address: Address,
    is_explicit: bool,
    warn: Callable[[str], None],
    taken: Address | None = None,
) -> Address:
    """
    Return where to listen: as asked, or on the next free port where nobody asked.

    Raises:
        BadSetting: The port that was asked for is taken, or not ours to take.
    """
    host, port = address
    if port == 0:
        return host, free_port(host=host)
    if 0 < port < 1024 and os.geteuid() != 0 and not becomes_free(host, port, 0):
        raise BadSetting(
            f"{option} {rooms.text_of(address)} cannot be opened: ports under 1024 need root, "
            "or CAP_NET_BIND_SERVICE, or net.ipv4.ip_unprivileged_port_start"
        )
    if address != taken and becomes_free(host, port):
        return address
    if is_explicit:
        raise BadSetting(
            f"{option} {rooms.text_of(address)} is taken by another program (or no address of this machine): "
            f"stop that one, or choose another with {option} HOST:PORT"
        )
    chosen = host, free_port((taken[1],) if taken else (), host=host, first=port + 1)
    warn(f"{rooms.text_of(address)} is taken by another program: {option} is {rooms.text_of(chosen)} instead")
    return chosen
