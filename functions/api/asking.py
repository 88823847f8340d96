"""Who asks, may they, and what do they ask: a request of Flask's taken apart."""

from __future__ import annotations

from typing import Any

import flask
import msgspec
from mailchute.store import keys
from mailchute.store.keys import ApiKey

from .operation import Operation, Request, Services
from .problem import Mistake, Problem, malformed
from .rates import Allowance

HEADER_MAX_CHARACTERS = 1_024


def asked(one: Operation, services: Services, path: dict[str, str], octets: bytes) -> Request:
    """
    Return the request of this operation.

    Raises:
        Problem: 400, 401, 403, 404 or 429.
        DatabaseUnavailable: It does not answer.
    """
    now = services.now()
    key = _key(services)
    flask.g.allowance = allowance = services.rates.take(key.id, now.timestamp())
    if allowance is not None and allowance.is_exceeded:
        raise Problem(429, "too many requests with this key", retry_after_s=allowance.retry_after_s)
    if one.scope not in key.scopes:
        raise Problem(403, f"the key {key.name!r} lacks the scope {one.scope}")
    if any("\x00" in part for part in path.values()):
        raise Problem(404, "there is none of this id")
    if_match = flask.request.headers.get("If-Match")
    if if_match is not None and len(if_match) > HEADER_MAX_CHARACTERS:
        raise Problem(400, "If-Match is too long")
    return Request(
        services=services,
        key=key,
        now=now,
        path=path,
        query=_query(one, flask.request.args.to_dict(flat=False)),
        body=_body(one, octets),
        if_match=if_match,
    )


def allowance_fields(allowance: Allowance | None) -> dict[str, str]:
    """Return the header fields that tell a caller what is left (draft-ietf-httpapi-ratelimit-headers-06)."""
    if allowance is None:
        return {}
    return {
        "RateLimit-Limit": str(allowance.limit),
        "RateLimit-Remaining": str(allowance.remaining),
        "RateLimit-Reset": str(allowance.reset_s),
    }


def _key(services: Services) -> ApiKey:
    """Return the key that came with the request, its use noted."""
    text = flask.request.headers.get("X-API-KEY", "")
    scheme, _, token = flask.request.headers.get("Authorization", "").partition(" ")
    if not text and scheme.lower() == "bearer":
        text = token.strip()
    if text:
        with services.database.read() as connection:
            key = keys.authenticate(connection, text)
        if key is not None:
            now = services.now()
            if keys.wants_note(key, now):
                with services.database.write() as connection:
                    keys.note_use(connection, key, now)
            return key
    raise Problem(401, "send a living API key as X-API-KEY or Bearer; `mailchute keys create` makes one")


def _query(one: Operation, given: dict[str, list[str]]) -> Any:
    repeated = [name for name, values in given.items() if len(values) > 1]
    if repeated:
        raise Problem(
            400,
            f"{repeated[0]} is given twice",
            mistakes=(Mistake(field=repeated[0], text="is given twice"),),
        )
    values = {name: found[0] for name, found in given.items()}
    if any("\x00" in value for value in values.values()):
        raise Problem(400, "a NUL in the query")
    try:
        return msgspec.convert(values, one.query, strict=False)
    except msgspec.ValidationError as error:
        raise malformed("the query", error) from None


def _body(one: Operation, octets: bytes) -> Any:
    if one.body is None:
        return None
    try:
        if one.body is str:
            return octets.decode()
        body = msgspec.json.decode(octets or b"{}", type=one.body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise malformed("the body", error) from None
    if b"\\u0000" in octets:  # no column holds it; a raw NUL is no JSON
        raise Problem(400, "the body: a NUL in a text")
    return body
