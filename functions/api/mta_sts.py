"""The MTA-STS policy of each domain, at https://mta-sts.<domain>/.well-known/mta-sts.txt (RFC 8461, 3.3)."""

from __future__ import annotations

from typing import Any

import flask
from mailchute.database import Database
from mailchute.store.domain_checks import policy_for

POLICY = "/.well-known/mta-sts.txt"
HOST_PREFIX = "mta-sts."
KEPT_S = 3_600  # by caches; senders keep it for the policy's own max_age


def policy_view(database: Database) -> Any:
    """Return the view: for anyone, by the name they call us by; 404 for a domain that is not ours."""

    def view() -> flask.Response:
        host = flask.request.host.partition(":")[0].lower().rstrip(".")
        policy = None
        if host.startswith(HOST_PREFIX):
            with database.read() as connection:
                policy = policy_for(connection, host.removeprefix(HOST_PREFIX))
        if policy is None:
            return flask.Response("no policy of ours\n", 404, content_type="text/plain")
        answer = flask.Response(policy, content_type="text/plain")
        answer.headers["Cache-Control"] = f"public, max-age={KEPT_S}"
        return answer

    return view
