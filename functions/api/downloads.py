"""Links to attachments that outlive what S3 signs: each is answered with a URL signed afresh."""

from __future__ import annotations

from functools import partial
from typing import Any

import flask
from mailchute.downloads import PATH, LinkEnded, key_of
from mailchute.errors import StorageUnavailable
from mailchute.storage_connection import connection_of

from .operation import Services
from .problem import Problem

RULE = f"{PATH}<token>"
LIFE_S = 300  # of the URL: long enough to begin, too short to be passed on


def redirection(services: Services) -> Any:
    """Return the view of `/d/<token>`, for anyone who has the link."""

    def view(token: str) -> flask.Response:
        try:
            key = key_of(services.keyring, token, services.now())
        except LinkEnded:
            raise Problem(410, "the link has ended, and what it led to with it") from None
        except ValueError:
            raise Problem(404, "there is nothing here") from None
        try:
            url = services.attachments.url_of(key, partial(_opened, services), LIFE_S)
        except StorageUnavailable:
            raise Problem(503, "the storage does not answer: try again", retry_after_s=2) from None
        if url is None:
            raise Problem(410, "the attachment was removed with its mail")
        answer = flask.redirect(url, 302)
        answer.data = b""  # the URL in it would only lie about
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["Referrer-Policy"] = "no-referrer"
        return answer  # type: ignore[return-value]

    return view


def _opened(services: Services, connection_id: str) -> Any:
    with services.database.write() as connection:
        return connection_of(connection, connection_id, services.sealer(connection))
