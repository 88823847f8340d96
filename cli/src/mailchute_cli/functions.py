"""The functions of an installation, called as the connector calls them."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
from mailchute import wire
from mailchute.errors import BadSetting, MailchuteError
from mailchute.settings import Reader

from .control import DATA
from .home import Home
from .rooms import HOST

TIMEOUT_S = 60.0  # scan may wait 10 s for the DNS

T = TypeVar("T")


class Functions:
    """
    Where they are, and the token they answer to: the environment's, or as `up` wrote them down.

    Raises:
        BadSetting: There is no installation.
    """

    def __init__(self, data: Path | None, environ: Mapping[str, str] = os.environ) -> None:
        self._reader = Reader(environ)
        self._gateway = self._reader.url("MAILCHUTE_FUNCTIONS_URL", "", ("http", "https")).rstrip("/")
        token = self._reader.secret("MAILCHUTE_INTERNAL_TOKEN")
        self._reader.check()
        directory = data or DATA
        self._ports: dict[str, int] = {}
        if directory.is_dir():
            home = Home(directory)
            self._ports = home.ports_known()
            token = token or home.secret("internal-token").read_text().strip()
        self._token = token
        if not self._gateway and not self._ports:
            raise BadSetting(f"there is no installation in {directory}: name it with --data")

    def ask(self, name: str, request: object, answer: type[T], **fields: str) -> T:
        """
        Return what a function makes of a request.

        Raises:
            BadSetting: It does not answer, or refuses.
        """
        url = self._url(name)
        fields |= {"Authorization": f"Bearer {self._token}", "Content-Type": wire.MSGPACK}
        call = urllib.request.Request(url, wire.encode(request), fields)  # noqa: S310 - a checked setting
        try:
            with urllib.request.urlopen(call, timeout=TIMEOUT_S) as response:  # noqa: S310
                return wire.decode(response.read(), answer)
        except urllib.error.HTTPError as error:
            raise BadSetting(f"the function {name} refuses: {_reason(error.read()) or error.code}") from None
        except (OSError, MailchuteError) as error:
            raise BadSetting(
                f"the function {name} at {url} does not answer ({error}): is `mailchute up` running?"
            ) from None

    def _url(self, name: str) -> str:
        own = self._reader.url(f"MAILCHUTE_FUNCTION_{name.upper()}_URL", "", ("http", "https"))
        if own or self._gateway:
            return own or f"{self._gateway}/function/{name}"
        if name not in self._ports:
            raise BadSetting(f"this installation has no function {name}: start `mailchute up` once")
        return f"http://{HOST}:{self._ports[name]}/function/{name}"


def _reason(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body, type=dict[str, str]).get("error", ""))
    except msgspec.MsgspecError:
        return ""
