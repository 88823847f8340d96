"""The Flask application of the API: who asks, may they, what do they ask, and the answer."""

from __future__ import annotations

import re
from typing import Any

import flask
import msgspec
from mailchute import wire
from mailchute.errors import DatabaseUnavailable, SecretUnreadable
from mailchute.eventlog import event_log
from mailchute.signing import jwks_of
from mailchute.store import keys
from mailchute.store.keys import ApiKey
from werkzeug.exceptions import HTTPException

from . import emails, routing, trail
from .openapi import document
from .operation import Operation, Request, Services
from .problem import PROBLEM_JSON, Problem

PREFIX = "/api/v1"
JWKS = "/.well-known/jwks.json"
JWKS_KEPT_S = 300  # by caches: a new key may come any day
BODY_MAX_OCTETS = 4 * 1024 * 1024  # a routes file of some 20,000 aliases
RETRY_AFTER_S = 1
OPERATIONS = (*emails.OPERATIONS, *routing.OPERATIONS, *trail.OPERATIONS)

log = event_log("api")


def application(services: Services) -> flask.Flask:
    """Return the WSGI application."""
    app = flask.Flask("mailchute-api", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_MAX_OCTETS
    described = wire.encode_json(document(OPERATIONS))
    app.add_url_rule(f"{PREFIX}/openapi.json", "openapi", lambda: _json(200, described))
    app.add_url_rule(JWKS, "jwks", _jwks(services))
    for one in OPERATIONS:
        rule = PREFIX + re.sub(r"\{(\w+)\}", r"<\1>", one.path)
        app.add_url_rule(rule, f"{one.method} {one.path}", _view(one, services), methods=[one.method])
    app.register_error_handler(Problem, _told)
    app.register_error_handler(DatabaseUnavailable, _away)
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(Exception, _broken)
    return app


def _jwks(services: Services) -> Any:
    """Return the view of the keys that signatures of ours verify with, for anyone."""
    shown = wire.encode_json(jwks_of(services.signing_keys))

    def view() -> flask.Response:
        answer = _json(200, shown, "application/jwk-set+json")  # RFC 7517, 8.5.1
        answer.headers["Cache-Control"] = f"public, max-age={JWKS_KEPT_S}"
        return answer

    return view


def _view(one: Operation, services: Services) -> Any:
    def view(**path: str) -> flask.Response:
        now = services.now()
        key = _key(services)
        if one.scope not in key.scopes:
            raise Problem(403, f"the key {key.name!r} lacks the scope {one.scope}")
        if any("\x00" in part for part in path.values()):
            raise Problem(404, "there is none of this id")
        asked = flask.request
        request = Request(
            services=services,
            key=key,
            now=now,
            path=path,
            query=_query(one, asked.args.to_dict(flat=False)),
            body=_body(one, asked.get_data(cache=False)),
        )
        answer = one.work(request)
        return _json(204, b"") if one.answers is None else _json(200, wire.encode_json(answer))

    return view


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
        raise Problem(400, f"{repeated[0]} is given twice")
    values = {name: found[0] for name, found in given.items()}
    if any("\x00" in value for value in values.values()):
        raise Problem(400, "a NUL in the query")
    try:
        return msgspec.convert(values, one.query, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(400, f"the query: {error}") from None


def _body(one: Operation, octets: bytes) -> Any:
    if one.body is None:
        return None
    try:
        if one.body is str:
            return octets.decode()
        return msgspec.json.decode(octets or b"{}", type=one.body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Problem(400, f"the body: {error}") from None


def _json(status: int, body: bytes, kind: str = wire.JSON) -> flask.Response:
    answer = flask.Response(body, status=status, content_type=kind)
    answer.headers["Cache-Control"] = "no-store"  # secrets and other people's mail are in it
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def _told(problem: Problem) -> flask.Response:
    answer = _json(problem.details.status, wire.encode_json(problem.details), PROBLEM_JSON)
    if problem.retry_after_s is not None:
        answer.headers["Retry-After"] = str(problem.retry_after_s)
    if problem.details.status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"  # RFC 9110, 15.5.2
    return answer


def _away(error: DatabaseUnavailable) -> flask.Response:
    log.warning("database-away", reason=str(error))
    return _told(Problem(503, "the database does not answer: try again", retry_after_s=RETRY_AFTER_S))


def _refused(error: HTTPException) -> flask.Response:
    answer = _told(Problem(error.code or 500, error.description or ""))
    answer.headers.extend({name: value for name, value in error.get_headers() if name == "Allow"})
    return answer


def _broken(error: Exception) -> flask.Response:
    if isinstance(error, SecretUnreadable):
        log.error("secret-unreadable", reason=str(error))
    else:
        log.error("operation-broke", reason=type(error).__name__, stage=flask.request.endpoint)
    return _told(Problem(500, "this is our fault, and it is logged"))
