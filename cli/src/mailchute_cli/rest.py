"""The REST API of an installation, near or far, with a key."""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import urlsplit

import msgspec
from mailchute.errors import BadSetting, TransientError

TIMEOUT_S = 40.0  # a long poll is answered within 25


class ApiAway(TransientError):
    """It does not answer just now."""


class Api:
    """
    One client; each call has a connection of its own, so it is safe from threads.

    Args:
        url: Where it is: `http://127.0.0.1:8080`, or `https://mail.inbox.example`.
        key: Of `mailchute keys create`.
    """

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadSetting(f"--api {url!r} is no URL; expected such as http://127.0.0.1:8080")
        self._is_plain = parts.scheme == "http"
        self._host, self._port = parts.hostname, parts.port
        self._base = parts.path.rstrip("/") + "/api/v1"
        self._key = key

    def call(self, method: str, path: str, body: object = None) -> Any:
        """
        Return what the answer's JSON says; None where it has no body.

        Raises:
            ApiAway: It is not there, or cannot just now.
            BadSetting: It refuses, with its own words.
        """
        fields = {"X-API-KEY": self._key}
        octets = None if body is None else msgspec.json.encode(body)
        if octets is not None:
            fields["Content-Type"] = "application/json"
        make = http.client.HTTPConnection if self._is_plain else http.client.HTTPSConnection
        connection = make(self._host, self._port, timeout=TIMEOUT_S)
        try:
            connection.request(method, self._base + path, octets, fields)
            answer = connection.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ApiAway(f"the API at {self._host} does not answer: {error}") from None
        finally:
            connection.close()
        if answer.status in (429, 502, 503, 504):
            raise ApiAway(_detail(told) or f"the API answered {answer.status}")
        if answer.status >= 400:
            raise BadSetting(_detail(told) or f"the API answered {answer.status}")
        return msgspec.json.decode(told) if told else None


def _detail(body: bytes) -> str:
    """Return what a problem+json (RFC 9457) says to a person."""
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError:
        return ""
    return str(problem.get("detail") or problem.get("title") or problem.get("error") or "")
