"""The rooms as programs of `up`: functions, the front for people, connector, ingress."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from mailchute.errors import BadSetting
from mailchute.settings import Reader

from mailchute_cli.home import Home
from mailchute_cli.probes import answers_http, greets_smtp
from mailchute_cli.program import STAGE_CONNECTOR, STAGE_EDGE, STAGE_FUNCTIONS, Program

HOST = "127.0.0.1"
ROOT = Path(__file__).parents[3]  # of the working tree: templates and functions are no packages
SERVER = ROOT / "template" / "python3-mailchute" / "index.py"
FUNCTIONS = ("parse", "scan", "deliver", "record", "api", "expire")  # what takes longest to start comes first
READS_DATABASE = ("deliver", "record", "api", "expire")
LATE = ("api", "expire")  # mail flows without them: they start when it does, and take no CPU before

Address = tuple[str, int]


def check_tree() -> None:
    """
    Raises:
        BadSetting: This is not a working tree, so there are no functions to start.
    """
    if not SERVER.is_file():
        raise BadSetting(
            f"`mailchute up` runs from a working tree, and {ROOT} is none: "
            "install with `make run`, or `pip install --no-deps -e cli` there"
        )


def environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what every room inherits: our own environment, with proxies kept away from loopback."""
    environ = dict(os.environ if given is None else given)
    for name in ("NO_PROXY", "no_proxy"):
        environ[name] = ",".join(filter(None, [environ.get(name), "127.0.0.1,localhost,::1"]))
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), environ.get("PYTHONPATH")]))
    environ["PYTHONUNBUFFERED"] = "1"
    return environ


class Functions:
    """One process a function, on loopback ports that only the connector knows."""

    def __init__(self, home: Home) -> None:
        ports = home.ports(FUNCTIONS)
        self._addresses: dict[str, Address] = {name: (HOST, ports[name]) for name in FUNCTIONS}

    def programs(self, environ: Mapping[str, str]) -> list[Program]:
        return [served(name, address, environ) for name, address in self._addresses.items()]

    def front(self, address: Address, environ: Mapping[str, str]) -> Program:
        """Return the server that passes on what people on this machine call."""
        return Program(
            name="front",
            command=(
                sys.executable,
                "-m",
                "mailchute_cli.front",
                text_of(address),
                *(f"{name}={url}" for name, url in self._urls().items()),
            ),
            environ=environ,
            is_ready=partial(answers_http, f"http://{text_of(reachable(address))}/_/ready"),
            stage=STAGE_EDGE,
            where=text_of(address),
        )

    def settings(self) -> dict[str, str]:
        """Return what the connector is told, and where deliver finds those who listen at api."""
        urls = {f"MAILCHUTE_FUNCTION_{name.upper()}_URL": url for name, url in self._urls().items()}
        return urls | {"MAILCHUTE_LISTEN_URL": f"http://{text_of(self._addresses['api'])}/listen"}

    def _urls(self) -> dict[str, str]:
        return {
            name: f"http://{text_of(address)}/function/{name}" for name, address in self._addresses.items()
        }


def served(name: str, address: Address, environ: Mapping[str, str]) -> Program:
    """Return the program that serves this function."""
    after = ("database",) if name in READS_DATABASE else ()
    own = {"MAILCHUTE_FUNCTION": f"functions.{name}", "MAILCHUTE_LISTEN": text_of(address)}
    return Program(
        name=name,
        command=(sys.executable, str(SERVER)),
        environ={**environ, **own},
        is_ready=partial(answers_http, f"http://{text_of(address)}/_/ready"),
        stage=STAGE_FUNCTIONS,
        is_essential=name not in LATE,
        after=(*after, "connector", "ingress") if name in LATE else after,
        where=text_of(address),
        drain_s=40,
        directory=str(ROOT),
    )


def connector(address: Address, environ: Mapping[str, str], *, after: tuple[str, ...]) -> Program:
    own = {"MAILCHUTE_CONNECTOR": text_of(address)}
    return Program(
        name="connector",
        command=(sys.executable, "-m", "connector"),
        environ={**environ, **own},
        is_ready=partial(answers_http, f"http://{text_of(address)}/readyz"),
        stage=STAGE_CONNECTOR,
        after=after,
        where=text_of(address),
        drain_s=40,
    )


def ingress(address: Address, environ: Mapping[str, str], *, after: tuple[str, ...]) -> Program:
    own = {"MAILCHUTE_SMTP": text_of(address)}
    return Program(
        name="ingress",
        command=(sys.executable, "-m", "smtp_ingress"),
        environ={**environ, **own},
        is_ready=partial(greets_smtp, *reachable(address)),
        stage=STAGE_EDGE,
        after=after,
        where=text_of(address),
        drain_s=40,
    )


def reachable(address: Address) -> Address:
    """Return where this machine reaches a server that listens at `address`."""
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read here, not bound
    return anywhere.get(address[0], address[0]), address[1]


def address(option: str, text: str) -> Address:
    """
    Return what an option such as `--smtp 127.0.0.1:2525` names.

    Raises:
        BadSetting: It is no host:port.
    """
    reader = Reader({option: text})
    found = reader.address(option, "")
    reader.check()
    return found


def text_of(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
