"""One attempt against a real receiver."""

from __future__ import annotations

import hashlib
import hmac
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mailchute import signing, wire
from mailchute.errors import DirectoryUnavailable, SecretUnreadable
from standardwebhooks import Webhook, WebhookVerificationError

from tests.servers.sink import Sink, Step
from tests.unit.deliver.given import MAIL_ID, PAYLOAD, SECRET, Known, attempts, endpoint, request


def test_what_is_signed_is_what_is_sent(sink: Sink) -> None:
    outcome = attempts(endpoint(sink.url("/hook?a=b&c"))).make(request())
    [post] = sink.wait_for("/hook?a=b&c")
    assert (outcome.result, outcome.status, outcome.reason) == ("delivered", 200, "")
    post.verify(SECRET)
    assert post.header("webhook-id") == MAIL_ID
    assert post.header("content-type") == "application/json"
    assert (
        post.header("x-emailconnect-signature") == hmac.new(SECRET.encode(), post.body, "sha256").hexdigest()
    )
    assert post.body == wire.encode_json(PAYLOAD)
    assert outcome.duration_s > 0


def test_both_secrets_verify_while_they_rotate_and_a_third_does_not(sink: Sink) -> None:
    new, old = signing.new_secret(), SECRET
    attempts(endpoint(sink.url("/hook"), secrets=(new, old))).make(request())
    [post] = sink.wait_for("/hook")
    post.verify(new)
    post.verify(old)
    with pytest.raises(WebhookVerificationError):
        post.verify(signing.new_secret())


def test_a_secret_of_any_text_signs_with_its_own_octets(sink: Sink) -> None:
    attempts(endpoint(sink.url("/hook"), secrets=("pässwort",))).make(request())
    [post] = sink.wait_for("/hook")
    Webhook("pässwort".encode()).verify(post.body, dict(post.headers))
    digest = hmac.new("pässwort".encode(), post.body, hashlib.sha256).hexdigest()
    assert post.header("x-emailconnect-signature") == digest


def test_v1a_stands_beside_v1_where_the_endpoint_wants_it(sink: Sink) -> None:
    key = Ed25519PrivateKey.generate()
    attempts(endpoint(sink.url("/hook"), signs_v1a=True), keys=(key,)).make(request())
    [post] = sink.wait_for("/hook")
    post.verify(SECRET)
    stamp = int(post.header("webhook-timestamp") or "")
    assert (
        signing.sign_v1a(key, MAIL_ID, stamp, post.body) in (post.header("webhook-signature") or "").split()
    )


def test_v1a_without_a_key_tells_what_to_set(sink: Sink) -> None:
    outcome = attempts(endpoint(sink.url("/hook"), signs_v1a=True)).make(request())
    assert outcome.result == "failed"
    assert "MAILCHUTE_SIGNING_KEY" in outcome.reason
    assert not sink.posts()


@pytest.mark.parametrize("pem", ["rubbish", "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----"])
def test_a_signing_key_that_is_none_is_a_value_and_is_not_told(sink: Sink, pem: str) -> None:
    outcome = attempts(endpoint(sink.url("/hook"), signing_key=pem, format="postal")).make(request())
    assert outcome.result == "failed"
    assert "signing_key" in outcome.reason
    assert "AA==" not in outcome.reason
    assert not sink.posts()


def test_postal_without_an_rsa_key_tells_what_to_set(sink: Sink) -> None:
    known = endpoint(sink.url("/hook"), format="postal")
    outcome = attempts(known, keys=(Ed25519PrivateKey.generate(),)).make(request(raw=b"x"))
    assert outcome.result == "failed"
    assert "MAILCHUTE_SIGNING_KEY" in outcome.reason


def test_tagged_mail_says_so_in_two_fields(sink: Sink) -> None:
    make = attempts(endpoint(sink.url("/hook"))).make
    make(request(delivery={"tags": ("spam",), "spam_score": 7.25}))
    make(request(delivery={"spam_score": 7.25}))
    tagged, plain = sink.wait_for("/hook", 2)
    assert tagged.header("X-EmailConnect-Tagged") == "spam"
    assert tagged.header("X-EmailConnect-Spam-Score") == "7.25"
    assert plain.header("X-EmailConnect-Tagged") is plain.header("X-EmailConnect-Spam-Score") is None


def test_custom_fields_and_basic_auth_go_along(sink: Sink) -> None:
    attempts(endpoint(sink.url("/hook"), headers=(("X-Tenant", "a b ü"),), basic_auth="user:pa:ss")).make(
        request()
    )
    [post] = sink.wait_for("/hook")
    assert (post.header("X-Tenant") or "").encode("latin-1").decode() == "a b ü"
    assert post.header("Authorization") == "Basic dXNlcjpwYTpzcw=="


@pytest.mark.parametrize(
    "field",
    [
        ("Host", "elsewhere"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Webhook-Id", "msg_other"),
        ("X-EmailConnect-Signature", "0"),
        ("Connection", "close"),
        ("Expect", "100-continue"),
        ("X-A", "a\r\nX-B: b"),
        ("X-A", "a\nb"),
        ("X-A", "a\x00b"),
        ("X A", "a"),
        ("X-A:", "a"),
        ("", "a"),
        ("X-Ä", "a"),
        ("X-A", "a" * 9_000),
    ],
)
def test_a_custom_field_that_could_bend_the_request_is_never_sent(sink: Sink, field: tuple[str, str]) -> None:
    outcome = attempts(endpoint(sink.url("/hook"), headers=(field,))).make(request())
    assert outcome.result == "failed"
    assert "custom header field" in outcome.reason
    assert not sink.posts()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_deleted": True}, "the endpoint was deleted"),
        ({"is_disabled": True, "disabled_reason": "gone"}, "the endpoint is disabled: gone"),
        ({"is_disabled": True}, "the endpoint is disabled: nobody said why"),
    ],
)
def test_nothing_is_sent_to_an_endpoint_that_is_off(
    sink: Sink, changes: dict[str, object], reason: str
) -> None:
    outcome = attempts(endpoint(sink.url("/hook"), **changes)).make(request())
    assert (outcome.result, outcome.reason) == ("refused", reason)
    assert not sink.posts()


def test_an_endpoint_that_nobody_knows_is_refused() -> None:
    outcome = attempts().make(request())
    assert (outcome.result, outcome.reason) == ("refused", "the endpoint was deleted")


def test_a_directory_that_is_away_is_our_fault_and_no_outcome() -> None:
    known = Known()
    known.trouble = DirectoryUnavailable("away")
    with pytest.raises(DirectoryUnavailable):
        attempts(endpoints=known).make(request())


def test_secrets_that_do_not_open_let_the_mail_wait_for_a_person() -> None:
    known = Known()
    known.trouble = SecretUnreadable("another master key")
    outcome = attempts(endpoints=known).make(request())
    assert (outcome.result, outcome.status) == ("failed", None)
    assert "operator" in outcome.reason


@pytest.mark.parametrize(
    ("status", "result", "hint"),
    [
        (200, "delivered", ""),
        (204, "delivered", ""),
        (299, "delivered", ""),
        (304, "failed", "redirects"),
        (400, "failed", "400"),
        (401, "failed", "basic_auth"),
        (403, "failed", "forbids"),
        (404, "failed", "path"),
        (410, "gone", "gone"),
        (413, "failed", "too large"),
        (418, "failed", "418"),
        (429, "failed", "slow down"),
        (500, "failed", "its own log"),
        (599, "failed", "599"),
    ],
)
def test_the_status_decides(sink: Sink, status: int, result: str, hint: str) -> None:
    sink.program("/hook", Step(status=status))
    outcome = attempts(endpoint(sink.url("/hook"))).make(request())
    assert (outcome.result, outcome.status) == (result, status)
    assert hint in outcome.reason


def test_a_redirect_is_not_followed_and_shown_to_the_owner(sink: Sink) -> None:
    sink.program("/hook", Step(status=308, headers=(("Location", sink.url("/elsewhere")),)))
    outcome = attempts(endpoint(sink.url("/hook"))).make(request())
    assert outcome.result == "failed"
    assert sink.url("/elsewhere") in outcome.reason
    assert [post.path for post in sink.posts()] == ["/hook"]


NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0),
        ("999999999", 7 * 86_400),
        ("99999999999999999999", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("Sat, 21 Nov 2026 12:00:00", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(sink: Sink, value: str, seconds: float | None) -> None:
    sink.program("/hook", Step(status=503, headers=(("Retry-After", value),)))
    outcome = attempts(endpoint(sink.url("/hook")), now=lambda: NOW).make(request())
    assert outcome.retry_after_s == seconds


def test_four_kilobytes_of_the_answer_are_kept_and_none_in_residency_mode(sink: Sink) -> None:
    sink.program("/hook", Step(status=500, body="x" * 9_000))
    make = attempts(endpoint(sink.url("/hook"))).make
    assert make(request()).response == b"x" * 4_096
    assert make(request(keep_response=False)).response == b""


def test_attempts_to_one_endpoint_share_a_connection(sink: Sink) -> None:
    make = attempts(endpoint(sink.url("/hook"))).make
    for _ in range(3):
        assert make(request()).result == "delivered"
    assert len({post.connection for post in sink.wait_for("/hook", 3)}) == 1


def test_a_connection_that_was_closed_while_it_lay_idle_is_not_used_again(sink: Sink) -> None:
    make = attempts(endpoint(sink.url("/hook"))).make
    assert make(request()).result == "delivered"
    sink.kill()
    sink.start()
    assert make(request()).result == "delivered"


def test_a_receiver_that_closes_after_each_answer_gets_every_mail_once(sink: Sink) -> None:
    sink.program("/hook", Step(headers=(("Connection", "close"),)))
    make = attempts(endpoint(sink.url("/hook"))).make
    for _ in range(3):
        assert make(request()).result == "delivered"
    assert len(sink.wait_for("/hook", 3)) == 3


def test_the_mail_id_stays_and_the_timestamp_goes_on_over_attempts(sink: Sink) -> None:
    times = iter([NOW, NOW, NOW + timedelta(seconds=5), NOW + timedelta(seconds=5)])
    make = attempts(endpoint(sink.url("/hook")), now=lambda: next(times)).make
    make(request())
    make(request())
    first, second = sink.wait_for("/hook", 2)
    assert first.header("webhook-id") == second.header("webhook-id")
    assert int(second.header("webhook-timestamp") or 0) - int(first.header("webhook-timestamp") or 0) == 5


def test_no_post_is_begun_that_cannot_end_by_the_senders_deadline(sink: Sink) -> None:
    outcome = attempts(endpoint(sink.url("/hook"))).make(
        request(deadline_at=datetime.now(UTC) + timedelta(seconds=0.5))
    )
    assert outcome.result == "failed"
    assert "deadline" in outcome.reason
    assert not sink.posts()


def test_a_deadline_cuts_an_attempt_short(sink: Sink) -> None:
    sink.program("/hook", Step(fault="hang"))
    outcome = attempts(endpoint(sink.url("/hook"))).make(
        request(deadline_at=datetime.now(UTC) + timedelta(seconds=1.2))
    )
    assert (outcome.result, outcome.status) == ("failed", None)
    assert "did not answer within 1." in outcome.reason


def test_nobody_listening_is_a_value() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        outcome = attempts(endpoint(url)).make(request())
    assert (outcome.result, outcome.status) == ("failed", None)
    assert "cannot be reached" in outcome.reason


def test_a_large_body_arrives_whole(sink: Sink) -> None:
    body = b'{"a":"' + b"x" * 5_000_000 + b'"}'
    assert attempts(endpoint(sink.url("/hook"))).make(request(body)).result == "delivered"
    [post] = sink.wait_for("/hook")
    assert post.body == body
