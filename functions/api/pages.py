"""The Flask application of the API: each operation at its path, and the answer as HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import flask
from mailchute import wire
from mailchute.errors import DatabaseUnavailable, SecretUnreadable
from mailchute.eventlog import event_log
from mailchute.signing import jwks_of
from werkzeug.exceptions import HTTPException

from . import downloads
from .asking import allowance_fields, asked
from .door import PATH, door_view
from .editions import etag_of
from .mta_sts import POLICY, policy_view
from .openapi import document
from .operation import Operation, Services
from .operations import OPERATIONS
from .problem import PROBLEM_JSON, Problem
from .repeats import Outcome, carried_out

PREFIX = "/api/v1"
JWKS = "/.well-known/jwks.json"
JWKS_KEPT_S = 300  # by caches: a new key may come any day
BODY_MAX_OCTETS = 4 * 1024 * 1024  # a routes file of some 20,000 aliases
RETRY_AFTER_S = 1

log = event_log("api")


def application(services: Services) -> flask.Flask:
    """Return the WSGI application."""
    app = flask.Flask("mailchute-api", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_MAX_OCTETS
    described = wire.encode_json(document(OPERATIONS))
    app.add_url_rule(f"{PREFIX}/openapi.json", "openapi", lambda: _json(200, described))
    app.add_url_rule(JWKS, "jwks", _jwks(services))
    app.add_url_rule(downloads.RULE, "download", downloads.redirection(services))
    app.add_url_rule(POLICY, "mta-sts", policy_view(services.database))
    app.add_url_rule(PATH, "listen", door_view(services.calls), methods=["POST"])
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
        octets = flask.request.get_data(cache=False)
        request = asked(one, services, path, octets)
        if one.change is not None:
            return _sent(one, carried_out(one, request, octets, flask.request.headers.get("Idempotency-Key")))
        assert one.work is not None, "an operation works or changes"
        answer = one.work(request)
        if isinstance(answer, flask.Response):
            return answer
        return _sent(one, Outcome.of(one, answer))

    return view


def _sent(one: Operation, outcome: Outcome) -> flask.Response:
    fields = {}
    if outcome.location:
        fields["Location"] = PREFIX + outcome.location
    if outcome.is_repeated:
        fields["Idempotency-Replayed"] = "true"
    if one.has_etag:
        fields["ETag"] = etag_of(outcome.body)
    return _json(outcome.status, outcome.body.encode(), fields=fields)


def _json(
    status: int, body: bytes, kind: str = wire.JSON, *, fields: Mapping[str, str] | None = None
) -> flask.Response:
    answer = flask.Response(body, status=status, content_type=kind)
    answer.headers["Cache-Control"] = "no-store"  # secrets and other people's mail are in it
    answer.headers["X-Content-Type-Options"] = "nosniff"
    for name, value in {**allowance_fields(flask.g.get("allowance")), **(fields or {})}.items():
        answer.headers[name] = value
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
