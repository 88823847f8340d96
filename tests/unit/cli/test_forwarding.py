"""A webhook handed on to a program, and every way a program can fail."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest
from mailchute.errors import BadSetting
from mailchute_cli.forwarding import ANSWER_MAX_CHARACTERS, Forwarder, Injected
from mailchute_cli.listen import failures_of
from mailchute_cli.ports import free_port

from tests.servers.sink import Sink, Step

BODY = b'{"message":{"subject":"hello"}}'


def call(**more: Any) -> dict[str, Any]:
    fields = [["Webhook-Id", "msg_1"], ["Content-Type", "application/json"]]
    return {"id": "cll_1", "fields": fields, "body": base64.b64encode(BODY).decode(), "leftS": 14.0, **more}


def forwarder(url: str, *fail: str) -> Forwarder:
    return Forwarder(url, Injected(failures_of(fail)))


def test_octets_and_fields_are_handed_on_as_they_are_and_the_answer_comes_back(sink: Sink) -> None:
    sink.program(
        "/hook?a=b", Step(status=429, headers=(("Retry-After", "7"),), body="slow\x00ly" + "x" * 9_000)
    )
    told = forwarder(sink.url("/hook?a=b")).forward(call())
    [post] = sink.wait_for("/hook?a=b")
    assert (post.body, post.header("webhook-id")) == (BODY, "msg_1")
    assert (told.status, told.subject) == (429, "hello")
    assert told.answer["retryAfterS"] == 7
    assert told.answer["body"].startswith("slow\ufffdly")
    assert len(told.answer["body"]) == ANSWER_MAX_CHARACTERS


def test_failures_that_are_asked_for_are_given_in_turn_and_the_program_sees_none_of_them(sink: Sink) -> None:
    one = forwarder(sink.url("/hook"), "503x2", "404x1")
    assert [one.forward(call()).status for _ in range(4)] == [503, 503, 404, 200]
    assert len(sink.posts("/hook")) == 1


@pytest.mark.parametrize(("fault", "status"), [("hang", 504), ("reset", 502), ("cut", 502)])
def test_a_program_that_breaks_is_a_gateway_fault_and_says_what_broke(
    sink: Sink, fault: str, status: int
) -> None:
    sink.program("/hook", Step(fault=fault))
    told = forwarder(sink.url("/hook")).forward(call(leftS=1.5))
    assert told.status == status
    assert told.note
    assert told.answer["status"] == status


def test_a_program_that_is_not_there_is_a_502() -> None:
    told = forwarder(f"http://127.0.0.1:{free_port()}/").forward(
        call(body=base64.b64encode(b"\xff raw").decode())
    )
    assert (told.status, told.subject) == (502, None)


def test_what_is_no_url_or_no_failure_is_refused() -> None:
    for url in ("localhost:3000", "ftp://a", "http://"):
        with pytest.raises(BadSetting, match="is no URL"):
            forwarder(url)
    for fail in ("503", "x3", "199x1", "600x1", "503x", "503x9999999"):
        with pytest.raises(BadSetting, match="503x3"):
            list(failures_of((fail,)))
    assert list(itertools.islice(failures_of(("500x2", "503x1")), 9)) == [500, 500, 503]
