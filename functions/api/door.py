"""The door that deliver knocks at for a listener's endpoint: each POST waits for the developer's answer."""

from __future__ import annotations

from typing import Any

import flask

from .calls import Calls

PATH = "/listen/<token>"  # below what MAILCHUTE_LISTEN_URL names; no front passes it on to strangers
BODY_MAX_OCTETS = 64 * 1024 * 1024  # as the server of functions has it
NOT_PASSED_ON = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "transfer-encoding", "x-forwarded-for"}
)


def door_view(calls: Calls) -> Any:
    """Return the view: who knows the token of a listener reaches it."""

    def view(token: str) -> flask.Response:
        flask.request.max_content_length = BODY_MAX_OCTETS
        fields = tuple(
            (name, value) for name, value in flask.request.headers if name.lower() not in NOT_PASSED_ON
        )
        reply = calls.offer(token, fields, flask.request.get_data(cache=False))
        answer = flask.Response(reply.body, reply.status, content_type="text/plain; charset=utf-8")
        if reply.retry_after_s is not None:
            answer.headers["Retry-After"] = str(reply.retry_after_s)
        return answer

    return view
