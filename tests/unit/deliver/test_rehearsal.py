"""A request that is shown is the request that would be made, without its owner's own secrets."""

from __future__ import annotations

from dataclasses import replace

from mailchute.delivery import Rehearsal, RehearsalRequest
from mailchute.endpoint import Endpoint
from mailchute.errors import SecretUnreadable
from standardwebhooks import Webhook

from functions.deliver.rehearsal import rehearsed
from tests.servers.sink import Sink
from tests.unit.deliver.given import SECRET, Known, attempts, endpoint, request


def shown(*known: Endpoint, **changes: object) -> Rehearsal:
    return rehearsed(attempts(*known), RehearsalRequest(rehearse=request(**changes)))


def test_the_request_is_the_one_that_an_attempt_makes_and_nothing_is_sent(sink: Sink) -> None:
    one = endpoint(sink.url("/hook?a=b"))
    rehearsal = shown(one)
    assert sink.posts("/hook?a=b") == []
    attempts(one).make(request())
    [post] = sink.wait_for("/hook?a=b")
    lines = rehearsal.head.decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines[1:] if line)
    assert lines[0] == "POST /hook?a=b HTTP/1.1"
    assert [name for name, _ in post.headers] == list(fields)
    assert rehearsal.body == post.body
    Webhook(SECRET).verify(rehearsal.body, fields, json_parse=False)
    assert rehearsal.refusal is None


def test_what_its_owner_set_is_hidden() -> None:
    one = endpoint("http://127.0.0.1:9/", basic_auth="user:hunter2", headers=(("X-Api-Token", "hunter2"),))
    rehearsal = shown(one)
    assert b"X-Api-Token: (hidden)\r\n" in rehearsal.head
    assert b"Authorization: (hidden)\r\n" in rehearsal.head
    for secret in ("hunter2", "dXNlcjpodW50ZXIy", SECRET):
        assert secret.encode() not in rehearsal.head + rehearsal.body


def test_an_endpoint_that_nothing_is_sent_to_says_why() -> None:
    disabled = endpoint("http://127.0.0.1:9/", is_disabled=True, disabled_reason="gone")
    assert shown(disabled).refusal == "the endpoint is disabled: gone"
    assert shown().refusal == "the endpoint was deleted"
    waiting = shown(endpoint("http://127.0.0.1:9/", is_unverified=True))
    assert "not verified yet" in (waiting.refusal or "")
    assert waiting.head
    assert "raise it, or include less" in (
        shown(endpoint("http://127.0.0.1:9/", body_limit_octets=10)).refusal or ""
    )
    known = Known()
    known.trouble = SecretUnreadable("another key")
    unreadable = rehearsed(replace(attempts(), endpoints=known), RehearsalRequest(rehearse=request()))
    assert "do not open" in (unreadable.refusal or "")
