"""An endpoint whose owner wants it asked gets nothing before it has echoed a challenge."""

from __future__ import annotations

import pytest

from tests.servers.sink import Sink, Step
from tests.unit.deliver.given import SECRET, attempts, endpoint, request


def test_nothing_is_sent_before_it_is_verified_and_that_is_held_against_nobody(sink: Sink) -> None:
    made = attempts(endpoint(sink.url("/a"), is_unverified=True)).make(request())
    assert (made.result, made.status, made.is_unsent) == ("failed", None, True)
    assert "mailchute endpoints verify end_1" in made.reason
    assert sink.posts() == []


def test_a_challenge_is_signed_like_a_mail_and_verified_by_its_echo(sink: Sink) -> None:
    sink.program("/a", Step(body='{"challenge": "hj2-Kx"}'))
    for form in ("native", "postmark", "rfc822"):
        made = attempts(endpoint(sink.url("/a"), is_unverified=True, format=form)).make(
            request(challenge="hj2-Kx")
        )
        assert (made.result, made.reason, made.is_unsent) == ("delivered", "", False)
    for post in sink.posts("/a"):
        assert post.json == {"event": "endpoint.challenge", "challenge": "hj2-Kx"}
        assert post.header("Content-Type") == "application/json"
        post.verify(SECRET)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Step(body="ok"), "200: the answer does not hold the challenge"),
        (Step(status=201), "201: the answer does not hold the challenge"),
        (Step(status=401, body="hj2-Kx"), "401: the endpoint wants to know who we are"),
        (Step(status=302, headers=(("Location", "https://b.example"),), body="hj2-Kx"), "redirects are not"),
        (Step(body="x" * 4_096 + "hj2-Kx"), "does not hold the challenge"),
        (Step(fault="reset"), "the endpoint ended the connection"),
    ],
)
def test_what_is_no_echo_says_why(sink: Sink, step: Step, said: str) -> None:
    sink.program("/a", step)
    made = attempts(endpoint(sink.url("/a"), is_unverified=True)).make(request(challenge="hj2-Kx"))
    assert made.result == "failed"
    assert said in made.reason


def test_an_outcome_says_how_fast_the_endpoint_wants_it(sink: Sink) -> None:
    sink.program("/a", 500, 200)
    make = attempts(endpoint(sink.url("/a"), rate_per_s=5.0)).make
    assert [make(request()).rate_per_s for _ in range(2)] == [5.0, 5.0]
