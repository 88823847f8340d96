"""Bodies within an endpoint's limit."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from mailchute.payload import Payload

from tests.servers.sink import Sink
from tests.unit.deliver.given import attempts, endpoint, request
from tests.unit.deliver.test_formats import attachment, with_attachments

LARGE = with_attachments(
    attachment(filename="small", size=10, content=b"s" * 10),
    attachment(filename="large", size=90_000, content=b"l" * 90_000),
    attachment(filename="middle", size=30_000, content=b"m" * 30_000),
    attachment(filename="link", size=99_999, url="https://files.test/d/token"),
)


def delivered(sink: Sink, payload: Payload, **changes: Any) -> Any:
    outcome = attempts(endpoint(sink.url("/hook"), **changes)).make(request(payload))
    assert (outcome.result, outcome.reason) == ("delivered", "")
    [post] = sink.wait_for("/hook")
    assert len(post.body) <= changes["body_limit_octets"]
    return post


@pytest.mark.parametrize(
    ("limit", "held"),
    [(1_000_000, {"small", "large", "middle"}), (60_000, {"small", "middle"}), (20_000, {"small"})],
)
def test_the_largest_attachments_go_first_and_are_said_to(sink: Sink, limit: int, held: set[str]) -> None:
    post = delivered(sink, LARGE, body_limit_octets=limit)
    attachments = post.json["message"]["attachments"]
    assert {one["filename"] for one in attachments if "content" in one} == held
    for one in attachments:
        if one["filename"] not in held | {"link"}:
            assert (one["status"], one["excludeReason"]) == ("excluded", "body-limit")
    assert [one["filename"] for one in attachments if "url" in one] == ["link"]


def test_a_peers_format_is_made_to_fit_too(sink: Sink) -> None:
    post = delivered(sink, LARGE, body_limit_octets=60_000, format="postmark")
    names = [one["Name"] for one in json.loads(post.body)["Attachments"]]
    assert names == ["small", "large.txt", "middle", "link.uri"]


def test_a_body_that_cannot_be_made_to_fit_is_refused_for_good(sink: Sink) -> None:
    outcome = attempts(endpoint(sink.url("/hook"), body_limit_octets=500)).make(request(LARGE))
    assert outcome.result == "refused"
    assert "over the endpoint's limit of 500" in outcome.reason
    assert not sink.posts()


def test_a_format_that_carries_the_mail_as_received_is_not_cut(sink: Sink) -> None:
    known = endpoint(sink.url("/hook"), body_limit_octets=500, format="rfc822")
    outcome = attempts(known).make(msgspec.structs.replace(request(LARGE), raw=b"x" * 9_000))
    assert outcome.result == "delivered"
